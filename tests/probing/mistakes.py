"""Mistakes that people make with a model, built into one that is right; what the probe must say, and where nothing."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mtlbench
from mtlbench.models.inputs import Inputs, convention
from mtlbench.probing.finding import Finding, Probe
from mtlbench.tasks import DEPTH, SEGMENTATION
from tests.probing.families import Scenes

Predictions = dict[str, Tensor]


class Given(nn.Module):
    """A network with something before and something behind it.

    Args:
        net: the network.
        before: on the images that it is given.
        behind: on its predictions.
    """

    def __init__(
        self,
        net: nn.Module,
        before: Callable[[Tensor], Tensor] = lambda x: x,
        behind: Callable[[Predictions], Predictions] = lambda out: out,
    ) -> None:
        super().__init__()
        self.net, self.before, self.behind = net, before, behind

    def forward(self, images: Tensor) -> Predictions:
        return self.behind(dict(self.net(self.before(images))))


class Stuck(Given):
    """Never leaves training mode."""

    def train(self, mode: bool = True) -> "Stuck":
        return super().train(True)


class NoGrad(Given):
    """Decorated by somebody who used it for validation."""

    @torch.no_grad()
    def forward(self, images: Tensor) -> Predictions:
        return super().forward(images)


class Shortcut(Given):
    """A frozen trunk, and a shortcut around it through which alone gradients pass."""

    def forward(self, images: Tensor) -> Predictions:
        with torch.no_grad():
            found = super().forward(images)
        size = (found[DEPTH].shape[2], found[DEPTH].shape[3])
        beside = 0.1 * F.adaptive_avg_pool2d(images.mean(1, keepdim=True), size)
        return {task: prediction + beside for task, prediction in found.items()}


@dataclass(frozen=True)
class Asked:
    """What is handed to the probe."""

    model: Callable[[Tensor], Any]
    inputs: str = "rgb01"

    def probe(self, scenes: Scenes) -> Probe:
        return mtlbench.probe(self.model, scenes.test, scenes.tasks, inputs=self.inputs)


@dataclass(frozen=True)
class Case:
    """A way to hand over a trained network.

    Attributes:
        make: (network, convention that it was trained with) -> what is handed over.
        questions: any of these must find it; none where it is right.
        words: all of these must stand in what is found.
        severity: of that.
    """

    make: Callable[[nn.Module, str], Asked]
    questions: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    severity: str = "refuse"

    def found(self, probe: Probe) -> list[Finding]:
        """What names the mistake."""
        return [
            one
            for one in probe.findings
            if one.question in self.questions
            and one.severity == self.severity
            and all(word in str(one) for word in self.words)
        ]

    def alarms(self, probe: Probe) -> list[Finding]:
        """What speaks against a model."""
        return [one for one in probe.findings if one.severity != "info"]


def raw(net: nn.Module, inputs: str, *steps: Callable[[Tensor], Tensor]) -> Given:
    """The network as one that takes RGB in [0, 1], with steps before its own convention."""
    shown = Inputs(convention(inputs))

    def before(images: Tensor) -> Tensor:
        for step in steps:
            images = step(images)
        found: Tensor = shown(images)
        return found

    return Given(net, before)


def behind(change: Callable[[Predictions], Predictions]) -> Callable[[nn.Module, str], Asked]:
    """A network whose predictions are changed."""
    return lambda net, inputs: Asked(Given(net, behind=change), inputs)


def of_classes(change: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, str], Asked]:
    """A network whose class scores are changed."""
    return behind(lambda out: out | {SEGMENTATION: change(out[SEGMENTATION])})


def before(*steps: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, str], Asked]:
    """A network that does something to RGB in [0, 1] first."""
    return lambda net, inputs: Asked(raw(net, inputs, *steps))


def blue_first(net: nn.Module, inputs: str) -> Asked:
    """Trained on BGR, and said to want RGB (or the other way round)."""
    return Asked(Given(net, lambda images: images.flip(1)), inputs)


def twice(net: nn.Module, inputs: str) -> Asked:
    """The model normalises, and so does what is said of it."""
    return Asked(raw(net, inputs), "imagenet" if inputs == "rgb01" else inputs)


def twice_inside(net: nn.Module, inputs: str) -> Asked:
    """A model with the same normalisation two times in its code."""
    own = "imagenet" if inputs == "rgb01" else inputs
    return Asked(raw(net, inputs, Inputs(convention(own))))


def callable_in_training(net: nn.Module, inputs: str) -> Asked:
    """A function around a network that nobody put into evaluation mode."""
    net = raw(net, inputs).train()
    return Asked(lambda images: net(images))


def without_gradient(net: nn.Module, inputs: str) -> Asked:
    return Asked(NoGrad(net), inputs)


def upsampled(out: Predictions) -> Predictions:
    return {name: F.interpolate(found, (48, 48), mode="bilinear") for name, found in out.items()}


def detached(out: Predictions) -> Predictions:
    return out | {DEPTH: out[DEPTH].detach()}


STATE = frozenset({"batch", "deterministic", "state"})
INPUTS = frozenset({"inputs"})
GRADIENT = frozenset({"gradient"})

RIGHT: dict[str, Case] = {
    "right": Case(lambda net, inputs: Asked(net, inputs)),
    "right, normalises inside": Case(before()),
    "log-softmax inside": Case(of_classes(lambda z: z.log_softmax(1))),
    "bilinear upsampling inside": Case(behind(upsampled)),
    "clamps its images to .05 to .95": Case(before(lambda x: x.clamp(0.05, 0.95))),
    "handed over in training mode": Case(lambda net, inputs: Asked(Given(net).train(), inputs)),
}

MISTAKES: dict[str, Case] = {
    "softmax inside": Case(of_classes(lambda z: z.softmax(1)), frozenset({"logits"}), ("softmax", ".log()")),
    "sigmoid inside": Case(of_classes(torch.sigmoid), frozenset({"logits"}), ("sigmoid", "torch.logit")),
    "BGR model fed RGB": Case(blue_first, INPUTS, ("its losses are lower",)),
    "normalised twice, once by inputs=": Case(twice, INPUTS, ("inputs='rgb01'",)),
    "normalised twice in the model": Case(twice_inside, frozenset({"inputs", "constant"})),
    "wants 0..255": Case(before(lambda x: x / 255), INPUTS, ("inputs='rgb255'",)),
    "training mode, a function": Case(callable_in_training, STATE, (".eval()", "modules=[net]")),
    "training mode, stuck": Case(lambda net, inputs: Asked(Stuck(net), inputs), STATE, ("eval()",)),
    "noise of 4 levels inside": Case(
        before(lambda x: x + 4 / 255 * torch.randn_like(x)), frozenset({"deterministic"}), ("noise",)
    ),
    "quantised input": Case(before(lambda x: (x * 255).round() / 255), GRADIENT, ("100 %", "round")),
    "one task detached": Case(behind(detached), GRADIENT, (DEPTH, "detach")),
    "no_grad": Case(without_gradient, GRADIENT, ("no_grad",)),
    "no_grad, but for a shortcut": Case(
        lambda net, inputs: Asked(Shortcut(net), inputs), frozenset({"sharing"}), ("no_grad", "100%"), "warn"
    ),
    "logits x 100": Case(of_classes(lambda z: 100 * z), frozenset({"saturation"}), (" / ",), "warn"),
}


def asked(case: Case, net: nn.Module, inputs: str, scenes: Scenes) -> Probe:
    """The probe of a copy of the network, handed over in this way; seeded, since some of them draw numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return case.make(deepcopy(net).eval(), inputs).probe(scenes)
