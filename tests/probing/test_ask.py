"""The questions on models of a line or two, each of which does one thing wrong; and that asking leaves no trace."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mtlbench
from mtlbench.data.own import OwnImages
from mtlbench.models.adapted import Adapted
from mtlbench.probing.ask import ask
from mtlbench.probing.finding import Finding, Probe
from mtlbench.tasks import classification, depth, multilabel, regression, segmentation

pytestmark = pytest.mark.usefixtures("one_thread")

DEPTHS = {"depth": depth()}


def images(count: int = 4, size: int = 8) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def asked(model: Callable[[Tensor], object], **targets: Tensor) -> Probe:
    """The target of depth is one plus red, where nothing else is given."""
    seen = images()
    return mtlbench.probe(model, (seen, targets or {"depth": 1 + seen[:, :1]}), DEPTHS)


def of(probe: Probe, question: str) -> list[Finding]:
    return [finding for finding in probe.findings if finding.question == question]


class Red(nn.Module):
    """One plus red, the right answer, in many wrong ways."""

    def __init__(self, how: Callable[[Tensor], Tensor] = lambda red: red) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("calls", torch.zeros(1))
        self.how = how

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"depth": 1.05 + self.scale * self.how(x[:, :1])}


class Counting(Red):
    calls: Tensor

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        return super().forward(x)


class Learning(Red):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self.scale.data *= 1.0001
        return super().forward(x)


class Raising(Red):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        if len(x) == 1:
            raise RuntimeError("Expected more than 1 value per channel when training")
        return super().forward(x)


class Slope(torch.autograd.Function):
    """The identity, whose gradient is another."""

    @staticmethod
    def forward(ctx: object, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor  # type: ignore[attr-defined]
        return x.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * gradient, None  # type: ignore[attr-defined]


def test_nothing_against_the_right_one() -> None:
    probe = asked(Red().eval())
    assert probe.findings == ()
    assert {"outputs", "batch", "gradient", "difference", "rise", "inputs", "constant"} < set(probe.asked)


def test_buffers_that_change_are_named_and_put_back() -> None:
    model = Counting()
    (finding,) = of(asked(model), "state")
    assert "1 of its buffers and parameters change as it runs: calls" in finding.seen
    assert float(model.calls) == 0


def test_parameters_that_change_are_named() -> None:
    (finding,) = of(asked(Learning()), "state")
    assert finding.seen.endswith("change as it runs: scale")


def test_one_image_alone_may_raise() -> None:
    (finding,) = of(asked(Raising()), "batch")
    assert finding.severity == "refuse"
    assert "more than 1 value per channel" in finding.seen


def test_another_image_of_the_batch_must_not_matter() -> None:
    (finding,) = of(asked(Red(lambda red: red - red.mean() + 0.5)), "batch")
    assert "depth" in str(finding)


@pytest.mark.parametrize("factor", [-1.0, 0.2, 4.0])
def test_a_gradient_that_is_not_that_of_the_loss(factor: float) -> None:
    probe = asked(Red(lambda red: Slope.apply(red, factor)))
    (finding,) = of(probe, "difference")
    assert f"rises {1 / factor:.2g} times as fast" in finding.seen
    assert [one.question for one in of(probe, "rise")] == (["rise"] if factor < 0 else [])


def test_pixels_without_gradient_are_counted() -> None:
    """A model that looks at red alone is none of them."""
    left = torch.arange(8) < 2
    probe = asked(Red(lambda red: torch.where(left, red, red.detach())))
    (finding,) = of(probe, "gradient")
    assert finding.severity == "warn"
    assert "exactly 0 at 75% of the pixels" in finding.seen


def test_a_loss_that_does_not_see_the_image() -> None:
    (finding,) = of(asked(Red(lambda red: 0 * red)), "gradient")
    assert "a random half grey level changes its loss by 0 of it" in finding.seen


def test_a_loss_of_zero_is_no_refusal() -> None:
    """Targets that a coarse prediction does not sample."""
    target = torch.zeros(4, 1, 8, 8)
    target[:, :, 1, 1] = torch.arange(1.0, 5.0)[:, None]
    coarse = Red(lambda red: red[..., ::2, ::2])
    found = asked(coarse.eval(), depth=target).findings
    assert {(one.question, one.severity) for one in found} == {("gradient", "warn"), ("targets", "warn")}


def test_gradients_that_are_not_finite() -> None:
    (finding,) = of(asked(Red(lambda red: red + (0 * red).sqrt())), "gradient")
    assert "not finite" in finding.seen


def test_an_operation_without_a_gradient_is_reported() -> None:
    def how(red: Tensor) -> Tensor:
        if red.requires_grad:
            raise RuntimeError("derivative is not implemented")
        return red

    (finding,) = of(asked(Red(how)), "gradient")
    assert "derivative is not implemented" in finding.seen
    assert finding.task == "depth"


def test_a_task_without_any_target_is_told() -> None:
    (finding,) = of(asked(Red(), depth=torch.zeros(4, 1, 8, 8)), "targets")
    assert "none of the first 4 images" in finding.seen


def test_images_that_are_sorted_by_their_label_are_no_reproach() -> None:
    """Sixteen of one class, or fifteen and one: the best constant knows nothing of the other classes."""
    seen = images(16)
    task = {"kind": classification(3)}
    seen[:, 0] += 0.2
    seen[0, 0], seen[0, 1] = 0.2, 0.8
    seen = seen.clamp(0, 1)

    def model(x: Tensor) -> dict[str, Tensor]:
        return {"kind": 8 * x.mean((2, 3))}

    kinds = seen.mean((2, 3)).argmax(1)
    (mode,) = mtlbench.probe(model, (seen, {"kind": kinds}), task).findings
    assert mode.question == "mode"
    (_, told) = mtlbench.probe(model, (seen[1:], {"kind": kinds[1:]}), task).findings
    assert (told.question, told.severity) == ("targets", "info")
    assert told.seen == "all targets of the first 15 images are the same"


class Beside(Red):
    """With a second parameter, used or not."""

    def __init__(self, used: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.more, self.used = nn.Parameter(torch.ones(9)), used

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = super().forward(x)
        return (
            found if self.used is None else {"depth": found["depth"] + 0 * x[:, :1] + self.used(self.more).mean() - 1}
        )


@pytest.mark.parametrize(
    ("used", "severity", "seen"),
    [
        (None, "info", "90% of its parameters serve no task: more"),
        (
            torch.detach,
            "warn",
            "predictions depend on some of the parameters that no gradient leads to, 90% of all: more",
        ),
        (torch.clone, "", ""),
    ],
    ids=["idle", "detached", "used"],
)
def test_parameters_that_no_gradient_leads_to(
    used: Callable[[Tensor], Tensor] | None, severity: str, seen: str
) -> None:
    """They are put back to the bit."""
    model = Beside(used).eval()
    model.more.data.mul_(torch.rand(9) + 1).div_(model.more.data.mean())
    before = model.more.detach().clone()
    assert [(one.question, one.severity, one.seen) for one in asked(model).findings] == (
        [("sharing", severity, seen)] if severity else []
    )
    assert torch.equal(model.more, before)


def test_training_mode_matters_only_where_a_module_has_it() -> None:
    assert [one.severity for one in of(asked(nn.Sequential(Red(), nn.Identity())), "mode")] == ["info"]
    assert of(asked(nn.Sequential(Red()).eval()), "mode") == []


def test_a_function_says_which_modules_it_uses() -> None:
    red = Red().eval()
    (finding,) = of(asked(lambda x: red(x)), "mode")
    assert finding.severity == "warn"
    assert "modules=[red]" in finding.remedy
    (finding,) = of(asked(lambda x: {"depth": 1.05 + x[:, :1]}), "mode")
    assert "no module that can be seen" in finding.seen


def test_a_model_that_checks_its_images_is_not_refused_for_it() -> None:
    """Other conventions and finite differences would show it images outside of [0, 1]."""

    def how(red: Tensor) -> Tensor:
        if red.min() < 0 or red.max() > 1:
            raise ValueError("expected images in [0, 1]")
        return red

    assert asked(Red(how).eval()).findings == ()


def attribute_nats(prediction: Tensor, target: Tensor, mask: Tensor, weights: Tensor | None) -> Tensor:
    return F.binary_cross_entropy_with_logits(prediction, target, reduction="none").mean((1, 2, 3))


def test_tasks_of_an_image_are_asked_too() -> None:
    """Logits, labels and numbers; a head of classes may be sure of itself where its loss is free of scale."""
    seen = images(12)
    means = seen.mean((2, 3))
    targets = {"label": means.argmax(1), "many": (means > 0.5).float(), "number": means[:, 0]}
    many = multilabel(3, loss=attribute_nats, attack_loss=None)

    def model(x: Tensor, sure: float) -> dict[str, Tensor]:
        found = x.mean((2, 3))
        return {"label": sure * found, "many": sure * (found - 0.5), "number": found[:, 0] + 0.01}

    cases: list[tuple[str | None, float, set[str]]]
    cases = [(loss, 1e4, {"many"}) for loss in ("class_margin", "dlr")]
    cases += [(None, 1e4, {"label", "many"}), (None, 50, set())]
    for attack_loss, sure, saturated in cases:
        tasks = {"label": classification(3, attack_loss=attack_loss), "many": many, "number": regression()}
        probe = mtlbench.probe(partial(model, sure=sure), (seen, targets), tasks)
        assert {one.task for one in of(probe, "saturation")} == saturated
        assert of(probe, "constant") == of(probe, "outputs") == of(probe, "inputs") == []


def test_asking_leaves_no_trace() -> None:
    """Modes, gradients' switches, buffers, images and the generator are as before; asked again, it says the same."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout(), nn.Conv2d(3, 4, 1))
    model[0].weight.requires_grad_(False)
    model[1].eval()
    tasks = {"seg": segmentation(4)}
    adapted = Adapted(model, [replace(task, name=name) for name, task in tasks.items()], outputs={"seg": slice(0, 4)})
    batch = OwnImages((images(), {"seg": (images()[:, 0] * 4).long()}), adapted.tasks).first(4)
    before = [(part.training, [p.requires_grad for p in part.parameters()]) for part in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    seen, generator = batch.input.clone(), torch.get_rng_state()
    first = ask(adapted, adapted.tasks, lambda number: batch[:number])
    assert [(part.training, [p.requires_grad for p in part.parameters()]) for part in model.modules()] == before
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(batch.input, seen)
    assert torch.equal(torch.get_rng_state(), generator)
    assert ask(adapted, adapted.tasks, lambda number: batch[:number]) == first


def test_the_loader_gives_the_probed_images_again() -> None:
    """`attack` counts every image once, whether it was asked about or not."""
    seen = images(5)
    batches = [(seen[:3], {"depth": 1 + seen[:3, :1]}), (seen[3:], {"depth": 1 + seen[3:, :1]})]
    results = [
        mtlbench.attack(Red().eval(), batches, DEPTHS, "total", "fgsm", 4, probe=how, replicates=2, progress=False)
        for how in ("strict", None)
    ]
    assert results[0].arp.equals(results[1].arp)
    assert [cell.identity for cell in results[0].cells] == [cell.identity for cell in results[1].cells]
    assert results[0].cells[0].identity["n_images"] == 5
