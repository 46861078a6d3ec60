"""What one invocation has done so far, over all points of its sweep."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtlbench.experiment.trained import Trained
    from mtlbench.probing.finding import Probe


@dataclass
class Session:
    """The memory of an invocation.

    Attributes:
        force: compute stored cells again, each once per invocation.
        fail_fast: stop at the first cell that fails.
        wanted: keys of all cells that its points asked for, stored or not.
        computed: keys of the cells, and folders of the models, that it computed.
        failed: cell -> what it is and why it failed; this invocation does not try it again.
        trained: the model of the last point, which the next one often shares.
        probes: weights -> what the probe says of a model of the user.
        said: what was said already, and is not said again for every point of a sweep.
    """

    force: bool = False
    fail_fast: bool = False
    wanted: set[str] = field(default_factory=set)
    computed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    trained: "Trained | None" = None
    probes: dict[str, "Probe"] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
