"""Measure how multi-task models break under adversarial attack.

Your model, your loader, your tasks:

    >>> import torch, mtlbench
    >>> trunk, scene = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 3, 1)
    >>> range_ = torch.nn.Conv2d(8, 1, 1)
    >>> model = lambda x: {"scene": scene(trunk(x)), "range": range_(trunk(x))}
    >>> images, classes, metres = torch.rand(4, 3, 16, 16), torch.randint(3, (4, 16, 16)), torch.rand(4, 16, 16) + 1
    >>> result = mtlbench.attack(
    ...     model,
    ...     (images, {"scene": classes, "range": metres}),
    ...     {"scene": mtlbench.segmentation(3), "range": mtlbench.depth()},
    ...     eps=8,
    ...     modules=[trunk, scene, range_],
    ...     probe=None,  # random weights: it would refuse them
    ...     progress=False,
    ... )
    >>> result.arp[["attack", "target", "eps"]].to_string(index=False, header=False).split()
    ['dgba', 'all', '8.0', 'single', 'range', '8.0', 'single', 'scene', '8.0', 'total', 'all', '8.0']

`attack` gives a `Result` with tables of metrics, damage, ARP (average relative performance drop) and transferability;
`probe` asks a model what would make them wrong; `perturb` gives attacked images; `sharing` measures how much the tasks
share; `straight_through` lets gradients pass a part without any; `load` reads what the commands computed. To see how
it works read `engine/evaluate.py`, one pass over images, then `experiment/run.py`, which is what `mtlbench attack`
does.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtlbench.api.probe import probe
    from mtlbench.api.result import Result, load
    from mtlbench.api.running import attack, perturb
    from mtlbench.api.sharing import sharing
    from mtlbench.errors import MtlbenchError
    from mtlbench.models.measured import Sharing
    from mtlbench.models.straight_through import straight_through
    from mtlbench.probing.finding import Probe
    from mtlbench.tasks import Task, classification, depth, multilabel, normals, regression, segmentation

__version__ = "0.1.0"
__all__ = [
    "MtlbenchError",
    "Probe",
    "Result",
    "Sharing",
    "Task",
    "attack",
    "classification",
    "depth",
    "load",
    "multilabel",
    "normals",
    "perturb",
    "probe",
    "regression",
    "segmentation",
    "sharing",
    "straight_through",
]

_HOME = {"attack": "api.running", "perturb": "api.running", "Result": "api.result", "load": "api.result"}
_HOME |= {"MtlbenchError": "errors", "probe": "api.probe", "Probe": "probing.finding"}
_HOME |= {"sharing": "api.sharing", "Sharing": "models.measured"}
_HOME |= {"straight_through": "models.straight_through"}


def __getattr__(name: str) -> object:
    """Imported when first used, so that `import mtlbench` and the command's help need no torch."""
    if name not in __all__:
        raise AttributeError(f"module 'mtlbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mtlbench.{_HOME.get(name, 'tasks')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
