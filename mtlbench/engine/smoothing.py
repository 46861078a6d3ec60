"""Randomised smoothing: a defence that adds noise to the input and answers what most draws vote for.

Cohen, Rosenfeld and Kolter 2019 (arXiv 1902.02918). All tasks vote on the same noisy inputs. What the votes prove is
derived from them later, in `scores.certificate`.

The noise of an input depends on the seed and the input's name only. Its draws are the batch that the model computes,
so an input's votes do not depend on the other inputs of its batch.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import log

import torch
from torch import Tensor

from mtlbench.attacks.ball import per_image
from mtlbench.attacks.random import PerImage
from mtlbench.constants import LABEL, NOISE, SELECTED, VOTES
from mtlbench.data.batch import Batch
from mtlbench.engine.losses import Forward
from mtlbench.errors import UsageError
from mtlbench.identity import Identified
from mtlbench.options import number, positive, whole
from mtlbench.tasks import Task

ForwardOf = Callable[[Sequence[str]], Forward]

VALUES_AT_ONCE = 32 * 3 * 64 * 64
"""Values of all noisy inputs that are computed at once: 32 images of 64 x 64, as of `evaluate.cpu_block`."""

FEWEST, MOST = 4, 1024
"""Noisy inputs that are computed at once."""


def certifiable(task: Task) -> bool:
    """Whether it gives one class to a whole input."""
    return task.per_image and task.holds == "classes"


class Smoothing(Identified):
    """The smoothed model.

    A task that gives one class to an input predicts by votes: its logits are log((votes + 1/2) / (draws + C / 2)).
    Every other task predicts the mean over the draws, and nothing is certified of it. Noisy inputs are not clamped to
    the box: the model sees what the theorem is about.

    Args:
        sigma: standard deviation of the noise of each value, in the unit of eps: 16 is 16 grey levels of an image.
        draws: how many vote (n of the paper).
        select: other draws that select the class whose votes are counted (n0).
        alpha: probability that a certificate, or an answer, is wrong.
        attack_draws: draws over which the gradient of an attack is averaged, other ones than those that vote, and the
            same in all its steps (SmoothAdv: Salman et al. 2019, arXiv 1906.04584, equation 6).
    """

    name = "smoothing"

    def __init__(
        self,
        sigma: float,
        draws: int = 1000,
        select: int = 100,
        alpha: float = 0.001,
        attack_draws: int = 8,
    ) -> None:
        example = ", in the unit of eps, for example 16 grey levels of an image"
        self.sigma = positive(sigma, "defence.sigma", example)
        self.draws = whole(draws, "defence.draws")
        self.select = whole(select, "defence.select")
        self.alpha = number(alpha, "defence.alpha", "a probability above 0 and below 1/2", above=0, below=0.5)
        self.attack_draws = whole(attack_draws, "defence.attack_draws")

    @property
    def label(self) -> str:
        """What tables add to the name of the model: the options that are not the default ones."""
        usual = Smoothing(self.sigma).options()
        shown = {name: value for name, value in self.options().items() if name == "sigma" or value != usual[name]}
        return f"{self.name}({','.join(f'{name}={value:g}' for name, value in shown.items())})"

    def needs(self, tasks: Sequence[Task], dataset: str) -> None:
        """Refuse a dataset without a task that votes can decide.

        Raises:
            UsageError: it has none; the message names its tasks.
        """
        if not any(map(certifiable, tasks)):
            names = ", ".join(task.name for task in tasks)
            raise UsageError(
                f"defence={self.name}: dataset={dataset} has the tasks {names}; expected one that gives a class to a "
                "whole input, such as those of dataset=parts"
            )

    def smoothed(
        self, forward_of: ForwardOf, tasks: Sequence[Task], batch: Batch, x: Tensor, seed: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What the smoothed model predicts, and the votes.

        Args:
            forward_of: the model, from the names of inputs; a random one must do the same at all draws of an input.
            tasks: its tasks.
            batch: the clean inputs, with their names, targets and what may be moved.
            x: the inputs [B, ...], clean or attacked.
            seed: of the noise.

        Returns:
            Task name -> prediction; and per input the arrays that `constants.VOTES` and its neighbours name.
        """
        each = [self._one(forward_of, tasks, batch[i : i + 1], x[i : i + 1], seed) for i in range(len(x))]
        predictions = {name: torch.cat([found[name] for found, _ in each]) for name in each[0][0]}
        arrays = {name: torch.cat([found[name] for _, found in each]) for name in each[0][1]}
        lengths = _lengths(batch)
        arrays[NOISE] = torch.stack([torch.full_like(lengths, self._deviation(batch)), lengths], 1)
        return predictions, arrays | _labels(tasks, batch)

    def averaged(self, forward: Forward, tasks: Sequence[Task], batch: Batch, seed: int) -> Forward:
        """What an attack on the smoothed model sees: the mean over `attack_draws` of class probabilities.

        Of other tasks than those that vote the mean of the predictions.
        """
        like = batch.input.new_empty(len(batch), self.attack_draws, *batch.input.shape[1:])
        noise = self._noise(PerImage(seed, [f"{self.name}, attacked/{name}" for name in batch.names]), batch, like)
        voting = {task.name for task in tasks if certifiable(task)}

        def forward_averaged(x: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
            copies = len(x) // len(batch)  # see `TaskLosses.repeat`
            noisy = x + noise.repeat(copies, *(1 for _ in noise.shape[1:])).transpose(0, 1)
            predictions = forward(noisy.flatten(0, 1), names)
            drawn = {name: found.unflatten(0, noisy.shape[:2]) for name, found in predictions.items()}
            return {name: _mean(found, name in voting) for name, found in drawn.items()}

        return forward_averaged

    def _one(
        self, forward_of: ForwardOf, tasks: Sequence[Task], batch: Batch, x: Tensor, seed: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Predictions and votes of one input."""
        forward = forward_of(batch.names)
        random = PerImage(seed, [f"{self.name}/{name}" for name in batch.names])
        voting = [task for task in tasks if certifiable(task)]
        selecting = _summed(forward, voting, self._noisy(random, batch, x, self.select))
        summed = _summed(forward, tasks, self._noisy(random, batch, x, self.draws))
        arrays = {f"{task.name}/{SELECTED}": selecting[task.name].argmax(1, keepdim=True) for task in voting}
        predictions = {name: total / self.draws for name, total in summed.items()}
        for task in voting:
            votes = arrays[f"{task.name}/{VOTES}"] = summed[task.name]
            predictions[task.name] = self._logits(votes).to(x.dtype)[:, :, None, None]
        return predictions, arrays

    def _noisy(self, random: PerImage, batch: Batch, x: Tensor, draws: int) -> Iterator[Tensor]:
        """Noisy versions of one input, as many at once as memory and the model like."""
        at_once = min(max(VALUES_AT_ONCE // x.numel(), FEWEST), MOST)
        for start in range(0, draws, at_once):
            like = x.new_empty(1, min(at_once, draws - start), *x.shape[1:])
            yield (x[:, None] + self._noise(random, batch, like))[0]

    def _logits(self, votes: Tensor) -> Tensor:
        """[B, C], finite also where nobody voted for a class; NaN where a vote was no number."""
        total = votes.sum(1, keepdim=True)
        logits = ((votes + 0.5) / (total + votes.shape[1] / 2)).log()
        return torch.where(total == self.draws, logits, torch.nan)

    def _noise(self, random: PerImage, batch: Batch, like: Tensor) -> Tensor:
        """Noise of several draws for each input [B, draws, ...], 0 where nothing may be moved."""
        noise = random.normal(like).to(like.dtype) * self._deviation(batch)
        return noise if batch.movable is None else torch.where(batch.movable[:, None], noise, 0)

    def _deviation(self, batch: Batch) -> float:
        """Sigma in the unit of the inputs."""
        return self.sigma / batch.space.scale


def _summed(forward: Forward, tasks: Sequence[Task], noisy: Iterable[Tensor]) -> dict[str, Tensor]:
    """Over all draws the votes [1, C] of tasks that vote, and the sum of the predictions [1, ...] of the others."""
    found: dict[str, Tensor] = {}
    for x in noisy:
        predictions = forward(x, [task.name for task in tasks])
        for task in tasks:
            drawn = predictions[task.name]
            value = _votes(drawn.flatten(1)) if certifiable(task) else drawn.sum(0, keepdim=True)
            found[task.name] = found[task.name] + value if task.name in found else value
    return found


def _votes(logits: Tensor) -> Tensor:
    """How many of the rows [D, C] name each class [1, C]; a row that is not finite names none."""
    named = logits[logits.isfinite().all(1)].argmax(1)
    return torch.bincount(named, minlength=logits.shape[1])[None]


def _mean(drawn: Tensor, voting: bool) -> Tensor:
    """The mean [B, ...] over the draws [D, B, ...]; of logits as the logarithm of the mean probability."""
    if not voting:
        return drawn.mean(0)
    return drawn.log_softmax(2).logsumexp(0) - log(len(drawn))


def _labels(tasks: Sequence[Task], batch: Batch) -> dict[str, Tensor]:
    """The label of each input [B, 1], -1 where it does not count."""
    return {
        f"{task.name}/{LABEL}": torch.where(
            batch.masks[task.name].flatten(1)[:, :1], batch.targets[task.name].flatten(1)[:, :1].long(), -1
        )
        for task in tasks
        if certifiable(task)
    }


def _lengths(batch: Batch) -> Tensor:
    """The largest Euclidean length of a move of norm l2 and eps 1 [B], in the unit of the inputs.

    The smoothed model is certified for moves up to a Euclidean length. eps bounds a root mean square unless the space
    says otherwise, and with ``per_word`` the moves of all words at once.
    """
    space, x = batch.space, batch.input
    free = torch.ones_like(x, dtype=torch.bool) if batch.movable is None else batch.movable
    counted = free.any(-1) if space.per_word else per_image(free.flatten(1).any(1), x)
    balls = counted.flatten(1).sum(1).double()
    values = free.flatten(1).sum(1).double()
    return (balls if space.euclidean else values).clamp_min(1).sqrt() / space.scale
