"""The state of one invocation, over all points of its sweep."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtlbench.experiment.trained import Trained
    from mtlbench.probing.finding import Probe


@dataclass
class Session:
    """The state of an invocation.

    Attributes:
        force: recompute stored cells, each once per invocation.
        fail_fast: stop at the first cell that fails.
        wanted: keys of all cells that its points asked for, stored or not.
        computed: keys of the cells, and folders of the models, that it computed.
        failed: cell -> label and reason of the failure; this invocation does not try it again.
        trained: the model of the last point, often reused by the next one.
        probes: model and images -> result of the probe of a user's model.
        said: messages already printed, so that they are not repeated for every point of a sweep.
    """

    force: bool = False
    fail_fast: bool = False
    wanted: set[str] = field(default_factory=set)
    computed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    trained: "Trained | None" = None
    probes: dict[str, "Probe"] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
