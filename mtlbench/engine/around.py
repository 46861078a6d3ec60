"""What attacks are told of a batch beside the values of its inputs."""

from mtlbench.attacks.around import Around
from mtlbench.data.batch import Batch


def around(batch: Batch) -> Around:
    """The space of its inputs, and where these may go."""
    return Around(batch.space, batch.movable, batch.substitutes, batch.starts)
