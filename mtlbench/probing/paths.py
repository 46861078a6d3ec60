"""Do all parameters serve a task, and does the gradient see every one that the predictions depend on?"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from mtlbench.models.measured import Sharing, sharing
from mtlbench.models.tree_model import TreeModel
from mtlbench.probing.finding import Finding
from mtlbench.probing.steady import differing
from mtlbench.probing.subject import Subject

QUESTION = "sharing"

MUCH = 0.1
"""Share of the parameters without a task from which it is worth a word."""

MOVED = 0.1
"""By so much of their root mean square parameters are moved, to see whether a prediction depends on them."""

CUT = (
    "take .detach(), .item(), .data and torch.no_grad out of the forward pass; an attack sees nothing of what these "
    "parameters do to the image"
)
IDLE = "heads that nobody asks for? Nothing to do; are they the trunk, look where its features go"


def paths(subject: Subject) -> list[Finding]:
    """Parameters that no gradient leads to: a warning if predictions depend on them all the same, else a word.

    Of a deterministic model, whose parameters can be seen and whose tree is not known anyway.
    """
    if isinstance(subject.model, TreeModel):
        return []
    one = replace(subject, batch=subject.batch[:1])
    found = sharing(one.predict, one.batch.input, one.names, [one.model])
    idle = sorted(set(found.shapes) - set().union(*found.members.values()))
    if not idle:
        return []
    share, names = _share(found, idle), ", ".join(idle[:3]).replace("inner.", "") + (", ..." if len(idle) > 3 else "")
    if _matter(one, idle):
        seen = f"predictions depend on some of the parameters that no gradient leads to, {share:.0%} of all: {names}"
        return [Finding(QUESTION, None, "warn", seen, CUT)]
    if share < MUCH:
        return []
    return [Finding(QUESTION, None, "info", f"{share:.0%} of its parameters serve no task: {names}", IDLE)]


def _share(found: Sharing, names: Sequence[str]) -> float:
    """Counted in elements."""
    sizes = {name: torch.Size(shape).numel() for name, shape in found.shapes.items()}
    return sum(sizes[name] for name in names) / sum(sizes.values())


def _matter(subject: Subject, names: Sequence[str]) -> bool:
    """Whether a prediction changes with these parameters."""
    before = subject.predictions
    with torch.no_grad(), _moved(subject.model, names):
        return bool(differing(before, subject.predict(subject.batch.input)))


@contextmanager
def _moved(model: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Context manager: these parameters are elsewhere; puts them back to the bit."""
    parameters = dict(model.named_parameters())
    old = {name: parameters[name].detach().clone() for name in names}
    random = torch.Generator().manual_seed(0)
    try:
        for name, value in old.items():
            size = float(value.abs().square().mean().sqrt()) or 1.0
            step = torch.randn(value.shape, generator=random).to(value)
            parameters[name].add_(MOVED * size * step)
        yield
    finally:
        for name, value in old.items():
            parameters[name].copy_(value)
