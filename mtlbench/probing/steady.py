"""Does the same image always give the same prediction, alone or among others, and does nothing change on the way?"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtlbench.engine.draws import ATTACK, drawn
from mtlbench.errors import ModelError
from mtlbench.models.adapted import Adapted
from mtlbench.models.model import MultiTaskModel
from mtlbench.probing.finding import Finding, each
from mtlbench.probing.hidden import hidden
from mtlbench.probing.subject import Subject

SAME = 1e-5
"""Relative difference of two runs that is rounding."""

ALONE = 1e-3
"""Relative difference of an image alone and in a batch that is rounding: kernels differ with the shape."""

ALONE_IN_HALF = 3e-2

TRAINING = "it is in training mode or draws random numbers: "


def deterministic(subject: Subject) -> list[Finding]:
    """Whether a second run says the same, to rounding; of a random model, with the same draws."""
    with torch.no_grad():
        again = subject.predict(subject.batch.input)
    far = differing(subject.predictions, again, SAME)
    if subject.model.random and not far:
        return _other_draws(subject)
    text = {task: f"differs by {value:.2g} of its largest value between two runs" for task, value in far.items()}
    declared = "random=True says so, and eot=10 then follows the mean of ten gradients"
    remedy = f"{TRAINING}{_remedy(subject.model)}; where noise is a part of the model, {declared}"
    if subject.model.random:
        remedy = "it draws from a generator of its own; expected PyTorch's, NumPy's or Python's global one"
    return each("deterministic", "refuse", text, subject.names, remedy)


def _other_draws(subject: Subject) -> list[Finding]:
    """A warning where a model that says that it is random says the same with other draws."""
    other = drawn(subject.model, 0, subject.batch.names, ATTACK)
    with torch.no_grad():
        if differing(subject.predictions, other(subject.batch.input), SAME):
            return []
    return [Finding("deterministic", None, "warn", "random=True, and two draws say the same", "leave out random")]


def batch_independent(subject: Subject, half: bool = False) -> list[Finding]:
    """Whether the first and the last image say the same alone as among the others.

    Args:
        subject: a deterministic one.
        half: it computes in half precision.
    """
    if subject.model.random:  # it never sees images together
        return []
    image, bound = subject.batch.input, ALONE_IN_HALF if half else ALONE
    worst: dict[str, float] = {}
    for at in {0, len(image) - 1}:
        try:
            with torch.no_grad():
                alone = subject.predict(image[at : at + 1])
        except ModelError as error:
            seen, _, _ = str(error).rpartition("; ")
            return [Finding("batch", None, "refuse", f"of one image {seen}", f"try {_remedy(subject.model)}")]
        among = {task: prediction[at : at + 1] for task, prediction in subject.predictions.items()}
        worst |= {k: max(v, worst.get(k, 0)) for k, v in differing(among, alone, bound).items()}
    text = {task: f"of an image alone differs by {value:.2g} from that in a batch" for task, value in worst.items()}
    remedy = f"batch normalisation in training mode? {_remedy(subject.model)}"
    return each("batch", "refuse", text, subject.names, remedy)


class State:
    """Parameters and buffers as they were, hidden ones too.

    Args:
        model: whose.
    """

    def __init__(self, model: MultiTaskModel) -> None:
        self.model = model
        modules = {"": model, **_unnamed(model)}
        self.buffers = {f"{k}.{n}".strip("."): b for k, m in modules.items() for n, b in m.named_buffers()}
        self.parameters = {f"{k}.{n}".strip("."): p for k, m in modules.items() for n, p in m.named_parameters()}
        self.before = {name: buffer.clone() for name, buffer in self.buffers.items()}
        self.sums = {name: _sums(parameter) for name, parameter in self.parameters.items()}

    def changed(self) -> list[Finding]:
        """A refusal where running the model changed it; buffers are put back."""
        buffers = [name for name, old in self.before.items() if not torch.equal(self.buffers[name], old)]
        parameters = [name for name, old in self.sums.items() if _sums(self.parameters[name]) != old]
        with torch.no_grad():
            for name in buffers:
                self.buffers[name].copy_(self.before[name])
        if not buffers + parameters:
            return []
        names = [name.removeprefix("inner.") for name in (*buffers, *parameters)]
        seen = f"{len(names)} of its buffers and parameters change as it runs: {', '.join(names[:3])}" + (
            ", ..." if len(names) > 3 else ""
        )
        return [Finding("state", None, "refuse", seen, f"{TRAINING}{_remedy(self.model)}")]


def own_input(subject: Subject) -> list[Finding]:
    """Whether the model writes into the images that it is given."""
    image = subject.batch.input.clone()
    with torch.no_grad():
        subject.model(image)
    change = float((image - subject.batch.input).abs().max())
    if change == 0:
        return []
    remedy = "let it work on a copy: model=lambda images: net(images.clone()), modules=[net]"
    return [Finding("state", None, "refuse", f"it writes into its images, by up to {change:.3g}", remedy)]


def mode(model: MultiTaskModel) -> list[Finding]:
    """Modules of a frozen model that stay in training mode all the same, and modules that nobody can freeze."""
    found = []
    if stuck := [name for name, module in model.named_modules() if module.training]:
        names = ", ".join(name.removeprefix("inner.") or "it" for name in stuck[:3])
        seen = f"{len(stuck)} of its modules stay in training mode after eval(): {names}"
        remedy = "let their train(mode) obey, or set module.training = False for each"
        found.append(Finding("mode", None, "warn", seen, remedy))
    unnamed = _unnamed(model)
    if unnamed or (isinstance(model, Adapted) and not model.has_state):
        training = sum(any(part.training for part in module.modules()) for module in unnamed.values())
        seen = f"a callable that uses {', '.join(unnamed) or 'no module that can be seen'}"
        seen += f", of which {training} in training mode" if training else ""
        remedy = f"modules=[{', '.join(unnamed) or '...'}] puts them in evaluation mode and makes the weights known"
        found.append(Finding("mode", None, "warn", seen, remedy))
    return found


def was_training(model: nn.Module) -> bool:
    """Whether it was handed over in training mode; an attack computes in evaluation mode."""
    inner = model.inner if isinstance(model, Adapted) else model
    modules = inner.modules() if isinstance(inner, nn.Module) else ()
    return any(module.training for module in modules if not any(True for _ in module.children()))  # no mere wrappers


def _unnamed(model: MultiTaskModel) -> dict[str, nn.Module]:
    """Modules that the user's callable uses and that `modules` does not have."""
    if not isinstance(model, Adapted):
        return {}
    known = set(map(id, model.modules()))
    return {name: module for name, module in hidden(model.inner).items() if id(module) not in known}


def _remedy(model: MultiTaskModel) -> str:
    names = _unnamed(model)
    calls = ", ".join(f"{name}.eval()" for name in names) or "model.eval()"
    return f"{calls}, modules=[{', '.join(names)}]" if names else f"{calls}, or modules=[...] of a callable"


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor], bound: float = SAME) -> dict[str, float]:
    """Tasks whose predictions differ by more than `bound` of their largest value, and by how much of it."""
    found = {}
    for task, prediction in one.items():
        size = prediction.abs().max().clamp_min(torch.finfo(prediction.dtype).tiny)
        if (value := float((prediction - other[task]).abs().max() / size)) > bound:
            found[task] = value
    return found


def _sums(parameter: Tensor) -> tuple[float, float]:
    """Cheaper to keep than the parameter itself, and different once it was trained."""
    flat = parameter.detach().double()
    return float(flat.sum()), float(flat.abs().sum())
