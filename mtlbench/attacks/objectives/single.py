"""Single: the loss of one task, whose damage to the others is what transferability measures."""

from mtlbench.attacks.objectives.total import Total


class Single(Total):
    """Loss of one task (arXiv 2305.12066). It is given the losses of its target only, so only that path runs."""

    name = "single"
