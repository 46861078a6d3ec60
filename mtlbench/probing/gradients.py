"""Does the gradient of each task reach the image, and is it that of the loss, by finite differences?"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mtlbench.constants import GREY_LEVELS
from mtlbench.errors import ModelError
from mtlbench.probing.finding import Finding, each
from mtlbench.probing.subject import Subject, guarded
from mtlbench.tasks import Task

HALF = 0.5 / GREY_LEVELS
"""Half a grey level: far enough that rounding to grey levels shows, near enough for a derivative."""

FAR = 4 / GREY_LEVELS

FEW = 4
"""Images of each task; more are not looked at."""

BLIND = 0.5
"""Share of pixels from which a gradient that is 0 there does not look at the image."""

AGREES = (0.5, 2.0)
"""Centred difference over directional derivative; a network is not linear over half a grey level."""

MEASURABLE = 1e-4
"""Relative change of a loss that stands out of float32."""

NO_GRADIENT = (
    "take torch.no_grad, inference_mode, .detach(), .item(), NumPy and argmax out of the model's forward pass"
)
ROUNDED = (
    "something rounds: uint8, round() or a comparison; take it out, or let gradients pass: "
    "front_end = mtlbench.straight_through(front_end)"
)


@dataclass(frozen=True)
class _Slope:
    """Of one task.

    Attributes:
        losses: [B].
        gradient: [B, 3, H, W] of each loss.
    """

    losses: Tensor
    gradient: Tensor

    @property
    def zeros(self) -> float:
        """Share of pixels at which it is 0 in every channel."""
        return float((self.gradient == 0).all(1).double().mean())


def gradients(subject: Subject, steady: bool = True) -> list[Finding]:
    """Whether an attack can see anything.

    Args:
        subject: who is asked.
        steady: it gives the same prediction twice, so that differences mean something.
    """
    missing, found = {}, []
    for task in subject.tasks:
        part = subject.scored(task, FEW)
        if part is None:  # `constant` says so
            continue
        inside = part.batch.input.clamp(HALF, 1 - HALF)  # some models refuse what is outside of [0, 1]
        part = replace(part, batch=replace(part.batch, input=inside))
        try:
            slope = _slope(part, task)
        except ModelError as error:
            seen, _, remedy = str(error).rpartition("; ")
            found.append(Finding("gradient", task.name, "refuse", f"with a gradient, {seen}", remedy))
            continue
        if slope is None:
            missing[task.name] = "has no gradient: it is cut off from the images"
        else:
            found += _judged(part, task, slope, steady)
    return each("gradient", "refuse", missing, subject.names, NO_GRADIENT) + found


def _slope(subject: Subject, task: Task) -> _Slope | None:
    """None where the graph does not lead from the loss to the images."""
    x = subject.batch.input.clone().requires_grad_()
    predictions = subject.predict(x, [task.name])
    if not predictions[task.name].requires_grad:
        return None
    losses = subject.losses(task).of(predictions)[0]
    (gradient,) = guarded(
        lambda: torch.autograd.grad(losses.sum(), x, allow_unused=True), f"the backward pass of {task.name}"
    )
    return None if gradient is None else _Slope(losses.detach(), gradient)


def _judged(subject: Subject, task: Task, slope: _Slope, steady: bool) -> list[Finding]:
    if wrong := float((~slope.gradient.isfinite()).double().mean()):
        remedy = "look for sqrt(0), log(0) or a norm of 0 in the model; add a small number inside"
        return [Finding("gradient", task.name, "refuse", f"{wrong:.1%} of its gradient is not finite", remedy)]
    if slope.zeros == 1 and not slope.losses.any():
        seen = f"its loss is exactly 0 on {len(slope.losses)} images, and so is its gradient"
        remedy = "targets too sparse for its prediction, or logits too far apart? An attack sees nothing there"
        return [Finding("gradient", task.name, "warn", seen, remedy)]
    if slope.zeros == 1:
        change = _largest_change(subject, task)
        seen = f"100 % of its gradient is 0, a random half grey level changes its loss by {change:.2g} of it"
        remedy = ROUNDED if change > 0 else "its loss does not see the image: a constant, or logits too far apart?"
        return [Finding("gradient", task.name, "refuse", seen, remedy)]
    found = []
    if slope.zeros > BLIND:
        remedy = "rounding, clamping or nearest resizing inside the model? An attack cannot use those pixels"
        seen = f"its gradient is exactly 0 at {slope.zeros:.0%} of the pixels"
        found.append(Finding("gradient", task.name, "warn", seen, remedy))
    return found + (_differences(subject, task, slope) if steady else [])


def _largest_change(subject: Subject, task: Task) -> float:
    """Over the images: |loss(x + h d) - loss(x - h d)| / loss(x) along random signs d, h half a grey level."""
    image = subject.batch.input
    random = torch.Generator().manual_seed(0)
    signs = torch.randint(2, image.shape, generator=random).to(image) * 2 - 1
    before, above, below = (_losses(subject, task, image + h * signs) for h in (0, HALF, -HALF))
    return float(((above - below).abs() / before.abs().clamp_min(1e-30)).max())


def _differences(subject: Subject, task: Task, slope: _Slope) -> list[Finding]:
    """Along the sign of the gradient: the slope over half a grey level either way, and where four of them lead."""
    image, signs = subject.batch.input, slope.gradient.sign()
    expected = float(slope.gradient.abs().sum()) * HALF
    above, below = (_losses(subject, task, image + h * signs) for h in (HALF, -HALF))
    measured, before = float((above - below).sum()) / 2, float(slope.losses.sum())
    found = []
    if expected > MEASURABLE * before and not AGREES[0] <= measured / expected <= AGREES[1]:
        seen = f"along its gradient the loss rises {measured / expected:.2g} times as fast as the gradient says"
        remedy = "rounding with a straight-through gradient, or a backward pass of its own? Attacks are too weak"
        found.append(Finding("difference", task.name, "warn", seen, remedy))
    rise = float(_losses(subject, task, (image + FAR * signs).clamp(0, 1)).sum()) - before
    if not rise > 0:
        seen = f"four grey levels along its gradient change the loss by {rise / max(before, 1e-30):+.2%}, no rise"
        remedy = "masked gradients, or a loss that is as large as it can be"
        found.append(Finding("rise", task.name, "warn", seen, remedy))
    return found


def _losses(subject: Subject, task: Task, image: Tensor) -> Tensor:
    """[B]."""
    with torch.no_grad():
        losses: Tensor = subject.losses(task)(image)[0]
    return losses
