"""Models in the forms in which people have them: those that are right are attacked, the others get their remedy."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

import mtlbench
from mtlbench.errors import ModelError
from mtlbench.tasks import DEPTH, NORMALS, SEGMENTATION, Task
from tests.probing.families import FAMILIES, SIZE, TASKS, blobs, pictures, trained

pytestmark = pytest.mark.usefixtures("one_thread")

Network = Callable[[Tensor], dict[str, Tensor]]


@pytest.fixture(scope="module")
def net(one_thread: None) -> nn.Module:
    """A small network that takes its images times two, minus one."""
    return trained(FAMILIES["residual"], blobs())


def attacked(model: Callable[..., Any], probe: str | None = "strict", tasks: Any = TASKS, **more: Any) -> Any:
    """One step, at one eps, of four images."""
    arguments = {"inputs": "half"} | more
    return mtlbench.attack(
        model, pictures(4, 7), tasks, "total", "fgsm", 8, probe=probe, replicates=2, progress=False, **arguments
    )


class Wrapped(nn.Module):
    """A network under another signature."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net


class Plain(Wrapped):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return cast(dict[str, Tensor], self.net(x))


class LibMTL(Wrapped):
    """A second argument is the name of one task."""

    def forward(self, inputs: Tensor, task_name: str | None = None) -> dict[str, Tensor]:
        found = self.net(inputs)
        return {name: found[name] for name in found if task_name in (None, name)}


class TreeMTL(Wrapped):
    """A second argument makes it return one tensor."""

    def forward(self, x: Tensor, task: str | None = None) -> dict[str, Tensor] | Tensor:
        found = cast(dict[str, Tensor], self.net(x))
        return found if task is None else found[task]


class NeedsTask(Wrapped):
    def forward(self, x: Tensor, task: str) -> Tensor:
        return cast(dict[str, Tensor], self.net(x))[task]


class Tupled(Wrapped):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.net(x).values())


class Renamed(Wrapped):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = self.net(x)
        return {"semseg": found[SEGMENTATION], "normals": found[NORMALS], "depth": found[DEPTH]}


class Changed(Wrapped):
    """One prediction is changed."""

    def __init__(self, net: nn.Module, task: str, change: Callable[[Tensor], Any]) -> None:
        super().__init__(net)
        self.task, self.change = task, change

    def forward(self, x: Tensor) -> dict[str, Any]:
        found = dict(self.net(x))
        return found | {self.task: self.change(found[self.task])}


class NoGrad(Wrapped):
    @torch.no_grad()
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return cast(dict[str, Tensor], self.net(x))


class Inference(Wrapped):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return cast(dict[str, Tensor], self.net(x))


class InPlace(Wrapped):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return cast(dict[str, Tensor], self.net(x.mul_(2).sub_(1)))


class Extra(Wrapped):
    """More keys, some of which are no tensors."""

    def forward(self, x: Tensor) -> dict[str, Any]:
        return {"aux": {"inner": x}, **self.net(x), "loss": None}


class HalfOutputs(Wrapped):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: found.half() for name, found in self.net(x).items()}


class HalfWeights(Wrapped):
    def __init__(self, net: nn.Module) -> None:
        super().__init__(nn.Sequential(nn.Conv2d(3, 3, 1).half(), net))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return cast(dict[str, Tensor], self.net(x))


class Before(Wrapped):
    def __init__(self, net: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__(net)
        self.change = change

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return cast(dict[str, Tensor], self.net(self.change(x) * 2 - 1))


class Forward(torch.autograd.Function):
    """Half of a function."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()


def overwritten(x: Tensor) -> Tensor:
    """The images, by way of a value that is changed after it was used."""
    one = (x + 1).sqrt()
    square = one.square()
    one.zero_()
    return square - 1


def classes(net: nn.Module, change: Callable[[Tensor], Any]) -> nn.Module:
    return Changed(net, SEGMENTATION, change)


FINE: dict[str, Callable[[nn.Module], Callable[..., Any]]] = {
    "plain signature": Plain,
    "LibMTL": LibMTL,
    "TreeMTL": TreeMTL,
    "extra keys": Extra,
    "half precision outputs": HalfOutputs,
    "depth without its channel": lambda net: Changed(net, DEPTH, lambda found: found[:, 0]),
}


@pytest.mark.parametrize("form", FINE)
def test_forms_that_are_attacked(net: nn.Module, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = attacked(FINE[form](net))
    assert result.arp["arp_percent"][0] > 0
    assert result.probe.ok
    assert capsys.readouterr().err == ""


REFUSED: dict[str, tuple[Callable[[nn.Module], Callable[..., Any]], dict[str, Any], tuple[str, ...]]] = {
    "call needs a task": (NeedsTask, {}, ("model=lambda images: net(images, ...)", "modules=[net]")),
    "tuple": (Tupled, {}, (SEGMENTATION, NORMALS, DEPTH, "a tuple of 3", "outputs={'segmentation': KEY")),
    "renamed tasks": (Renamed, {}, ("outputs of segmentation", "'semseg'", "outputs={'segmentation': KEY")),
    "no_grad": (NoGrad, {}, (SEGMENTATION, NORMALS, DEPTH, "no gradient", "take torch.no_grad")),
    "inference_mode": (Inference, {}, (SEGMENTATION, NORMALS, DEPTH, "no gradient", "inference_mode")),
    "argmax": (lambda net: classes(net, lambda z: z.argmax(1)), {}, (SEGMENTATION, "int64", "without argmax")),
    "argmax, as float": (
        lambda net: classes(net, lambda z: (z == z.amax(1, keepdim=True)).float()),
        {},
        ("gradient of segmentation", "argmax"),
    ),
    "fewer classes": (
        lambda net: classes(net, lambda z: z[:, :4]),
        {},
        ("outputs of segmentation", "[4, 4, 12, 12], expected [4, 5, h, w]", "task that fits"),
    ),
    "channels last": (
        lambda net: classes(net, lambda z: z.movedim(1, -1)),
        {},
        ("outputs of segmentation", "channels are last, permute them in outputs="),
    ),
    "one detached task": (
        lambda net: Changed(net, DEPTH, lambda found: found.detach()),
        {},
        ("gradient of depth", ".detach()"),
    ),
    "no backward pass": (
        lambda net: Before(net, Forward.apply),
        {"inputs": "rgb01"},
        ("gradient of depth", "the backward pass of depth raises", "write its backward", "mtlbench.straight_through"),
    ),
    "overwrites what its gradient needs": (
        lambda net: Before(net, overwritten),
        {"inputs": "rgb01"},
        ("gradient of normals", "the backward pass of normals raises", "leave out inplace=True"),
    ),
    "not finite": (
        lambda net: Changed(net, DEPTH, lambda found: found / 0),
        {},
        ("outputs of depth", "100.0% of its values are not finite"),
    ),
    "probabilities": (
        lambda net: classes(net, lambda z: z.softmax(1)),
        {},
        ("logits of segmentation", "return the logits, or outputs=lambda out", ".log()"),
    ),
    "sigmoid": (lambda net: classes(net, torch.sigmoid), {}, ("logits of segmentation", "torch.logit")),
    "half precision": (HalfWeights, {}, ("outputs", "model.float()")),
    "writes into its images": (InPlace, {"inputs": "rgb01"}, ("state", "net(images.clone())")),
    "0..255": (lambda net: Before(net, lambda x: x / 255), {"inputs": "rgb01"}, ("inputs='rgb255'", SEGMENTATION)),
    "noise": (
        lambda net: Before(net, lambda x: x + 4 / 255 * torch.randn_like(x)),
        {"inputs": "rgb01"},
        ("deterministic", SEGMENTATION, "where noise is a part of the model, random=True says so"),
    ),
    "quantisation": (
        lambda net: Before(net, lambda x: (x * 255).round() / 255),
        {"inputs": "rgb01"},
        ("gradient of segmentation", "100 % of its gradient is 0", "front_end = mtlbench.straight_through(front_end)"),
    ),
    "untrained": (
        lambda net: FAMILIES["residual"].build(TASKS, SIZE),
        {},
        ("constant of segmentation", "best constant prediction", "are the weights loaded"),
    ),
    "normals in another order": (
        lambda net: Changed(net, NORMALS, lambda found: found.flip(1)),
        {},
        ("constant of normals", "out['normals'][:, [2, 1, 0]]"),
    ),
    "depth in millimetres": (
        lambda net: Changed(net, DEPTH, lambda found: found * 1000),
        {},
        ("constant of depth", "out['depth'] * 0.00"),
    ),
}


@pytest.mark.parametrize("form", REFUSED)
def test_forms_that_are_refused_name_the_task_and_the_remedy(net: nn.Module, form: str) -> None:
    make, more, words = REFUSED[form]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with pytest.raises(ModelError) as refused:
            attacked(make(net), **more)
    assert [word for word in (*words, "probe='warn'") if word not in str(refused.value)] == [], str(refused.value)


def test_training_mode_is_told_where_nobody_can_end_it(net: nn.Module) -> None:
    """Dropout of a function's network draws numbers; given as a module it is in evaluation mode."""
    net.train()
    with pytest.raises(ModelError, match=r"deterministic.*net\.eval\(\), modules=\[net\]"):
        attacked(lambda images: net(images))
    assert attacked(lambda images: net(images), modules=[net]).probe.ok
    assert net.training
    net.eval()


def test_remedies_work_as_they_are_typed(net: nn.Module) -> None:
    """What the messages above say, done."""
    assert attacked(Tupled(net), outputs={SEGMENTATION: 0, NORMALS: 1, DEPTH: 2}).probe.ok
    named = {SEGMENTATION: "semseg", NORMALS: "normals", DEPTH: "depth"}
    assert attacked(Renamed(net), outputs=named).probe.ok
    for change, back in (
        (lambda z: z.softmax(1), lambda p: p.clamp_min(1e-30).log()),
        (torch.sigmoid, lambda p: torch.logit(p, eps=1e-7)),
    ):
        model = classes(net, change)
        repaired = attacked(model, outputs=lambda out, back=back: {**out, SEGMENTATION: back(out[SEGMENTATION])})
        assert repaired.probe.ok
    assert attacked(Before(net, lambda x: x / 255), inputs="rgb255").probe.ok
    flipped = Changed(net, NORMALS, lambda found: found.flip(1))
    back = attacked(flipped, outputs=lambda out: {**out, "normals": out["normals"][:, [2, 1, 0]]})
    assert back.probe.ok


def test_warn_goes_on_and_none_does_not_ask(net: nn.Module, capsys: pytest.CaptureFixture[str]) -> None:
    model = classes(net, lambda z: z.softmax(1))
    warned = attacked(model, probe="warn")
    shown = capsys.readouterr().err
    assert shown.count("a softmax inside") == 1
    assert not warned.probe.ok
    silent = attacked(model, probe=None)
    assert silent.probe is None
    assert capsys.readouterr().err == ""
    assert silent.arp.equals(warned.arp)


def test_warnings_are_printed_once_and_stored(
    net: nn.Module, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    model = classes(net, lambda z: 100 * z)
    result = attacked(model)
    shown = capsys.readouterr().err
    assert shown.count("warn    saturation of segmentation") == 1
    assert [finding.question for finding in result.probe.findings] == ["saturation"]
    again = mtlbench.load(result.save(tmp_path))
    assert again.probe.findings == result.probe.findings


def test_unknown_words_are_refused(net: nn.Module) -> None:
    with pytest.raises(mtlbench.MtlbenchError, match="probe=lenient: expected strict or warn"):
        attacked(net, probe="lenient")


def test_only_the_tasks_that_are_asked_for(net: nn.Module) -> None:
    one: dict[str, Task] = {DEPTH: mtlbench.depth()}
    assert attacked(net, tasks=one).probe.ok
