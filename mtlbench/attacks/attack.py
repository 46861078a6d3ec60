"""An attack: an objective, a step rule, and the best of several starts, for a batch of inputs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from mtlbench.attacks.around import AN_IMAGE, Around, Points
from mtlbench.attacks.ball import BALLS, Ball, per_image
from mtlbench.attacks.objectives.base import METRICS, Losses, Objective
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps.base import Step
from mtlbench.constants import AVERAGE_OTHER, INPUT, LINF, NEAREST_OTHER
from mtlbench.errors import UsageError
from mtlbench.options import flag, one_of, whole
from mtlbench.space import Space
from mtlbench.tasks import Loss, Scored, Task

RAW, NORMALISED = "raw", "normalised"
TEST, TRAIN = "test", "train"
STARTS = (INPUT, NEAREST_OTHER, AVERAGE_OTHER)


@dataclass(frozen=True)
class Attack:
    """Objective, step rule, starting points and attacked tasks.

    Attributes:
        objective: built from conf/attack.
        step: built from conf/attack/step.
        tasks: the tasks whose losses the objective sees, one for `single`.
        random_start: begin at a random point of the ball instead of the image.
        eot: how often the losses of a random model are drawn for each step and score; their mean is climbed, the
            gradient of which is the mean of the draws' (expectation over transformation, arXiv 1802.00420).
        restarts: number of runs; per image the one with the highest score counts. Runs after the first always
            begin at a random point.
        starts: where runs begin, the best of all counts: ``image`` the clean input, `random_start` and `restarts` are
            for it; ``nearest_other`` and ``average_other``: one run for each attacked task, see `constants`.
        norm: of the ball, ``linf`` or ``l2``, see `ball`.
        logits: the input of losses of logits: ``raw`` logits, or ``normalised`` ones, divided by a third of their
            spread on the clean image, so that the attack does not depend on their scale. Smooth metrics see
            normalised ones always.
        loss_scale: task -> factor on its loss as the attack sees it. The default is 1.
        loss: task -> the loss that takes the place of the one it is attacked by.
        metrics: task -> the metrics that an objective which climbs metrics sees; by default those that score it.
        clean_values: of these metrics, which they are divided by: those of the attacked images (``test``), or of
            training images (``train``), for an attacker who does not see the labels of the others beforehand.
        source: the model that the attack is made on, of the same tasks; None is the attacked model itself.
        judge: the objective whose score selects the best run; None = `objective`.
    """

    objective: Objective
    step: Step
    tasks: tuple[Task, ...]
    random_start: bool = False
    restarts: int = 1
    starts: tuple[str, ...] = (INPUT,)
    norm: str = LINF
    logits: str = RAW
    loss_scale: Mapping[str, float] = field(default_factory=dict)
    loss: Mapping[str, str | Loss] = field(default_factory=dict)
    metrics: Mapping[str, tuple[str | Scored, ...]] = field(default_factory=dict)
    clean_values: str = TEST
    judge: Objective | None = None
    source: nn.Module | None = None
    eot: int = 1

    def __post_init__(self) -> None:
        one_of(self.norm, "attack.norm", BALLS)
        one_of(self.logits, "attack.logits", (RAW, NORMALISED))
        one_of(self.clean_values, "attack.clean_values", (TEST, TRAIN))
        whole(self.restarts, "attack.restarts")
        whole(self.eot, "attack.eot")
        flag(self.random_start, "attack.random_start")
        if not self.starts or len(set(self.starts)) < len(self.starts) or set(self.starts) - set(STARTS):
            raise UsageError(f"attack.starts={list(self.starts)}: expected some of {', '.join(STARTS)}, each once")
        if self.norm not in self.step.norms:
            raise UsageError(f"attack.norm={self.norm}: {self.step.name} steps in {', '.join(self.step.norms)} only")

    def takes(self, space: Space, starts: Collection[str] = ()) -> None:
        """Refuse a step rule that cannot move inputs of this space, and starts that these inputs lack.

        Args:
            space: of the inputs.
            starts: those that they have beside themselves.

        Raises:
            UsageError: the message names the option and what is supported.
        """
        if lacking := [start for start in self.starts if start not in (INPUT, *starts)]:
            known = ", ".join((INPUT, *starts))
            raise UsageError(f"attack.starts={lacking[0]}: the inputs of this dataset have {known} only")
        if space.form not in self.step.forms:
            known = " and ".join(f"{form}s" for form in self.step.forms)
            raise UsageError(f"attack/step={self.step.name}: it moves {known}; the inputs are of form {space.form}")

    @property
    def seen(self) -> tuple[Task, ...]:
        """A task for each row of losses, with the loss and metrics that the attack sees in the place of its own."""
        return tuple(
            replace(task, attack_loss=loss, metrics=self.metrics.get(task.name, task.metrics))
            for task in self.tasks
            for loss in self.objective.sees or (self.loss.get(task.name) or task.attack_loss,)
        )

    @property
    def climbs_own_losses(self) -> bool:
        """Whether it climbs the tasks' own losses as they are."""
        others = self.loss or self.objective.sees
        return self.objective.climbs != METRICS and self.logits == RAW and not others

    @property
    def alternatives(self) -> tuple["Attack", ...]:
        """The attacks whose best result per image is taken; empty for an attack that climbs by itself."""
        objectives = self.objective.alternatives(len(self.tasks))
        return tuple(replace(self, objective=one, judge=self.objective) for one in objectives)

    def __call__(
        self,
        losses: Losses,
        x: Tensor,
        eps: Tensor,
        random: PerImage,
        around: Around = AN_IMAGE,
    ) -> Tensor:
        """Attack inputs.

        Args:
            losses: inputs -> losses [T, B] of this batch.
            x: clean inputs [B, ...], inside the box of their space.
            eps: radius per input [B], same unit.
            random: draws that depend on the seed and each input's name only.
            around: what else is known of the inputs.

        Returns:
            Attacked inputs [B, ...], within eps of `x` and inside the box.
        """
        self.takes(around.space, around.points)
        if alternatives := self.alternatives:
            found = [attack(losses, x, eps, random.copy(), around) for attack in alternatives]
            return self.select(found, losses, x)
        ball, seen = self.ball(x, eps, random, around), self._scaled(self.expected(losses))
        with torch.no_grad():
            objective = self.objective.bind(seen, x)
            runs = [
                ball.project(self.step.run(seen, objective, ball, start)).detach()
                for start in self._begin(ball, around.points)
            ]
        return self.select(runs, losses, x)

    def ball(self, x: Tensor, eps: Tensor, random: PerImage, around: Around = AN_IMAGE) -> Ball:
        """Where the inputs may go; arguments as above."""
        ball = BALLS[self.norm](x, eps, random, around.space, around.movable)
        return self.step.inside(ball, around.choices)

    def _begin(self, ball: Ball, points: Points) -> Iterator[Tensor]:
        """Where the runs start, [B, ...] each; drawn when their turn comes."""
        for kind in self.starts:
            if kind == INPUT:
                for number in range(self.restarts):
                    yield ball.point() if self.random_start or number > 0 else ball.x
            else:
                for task in self.tasks:
                    yield ball.x + self.step.reach * (ball.project(points[kind][task.name]) - ball.x)

    @torch.no_grad()
    def select(self, images: Sequence[Tensor], losses: Losses, x: Tensor) -> Tensor:
        """Select for each input the attacked version [B, ...] with the highest score; the first of equal ones.

        Args:
            images: the versions.
            losses: inputs -> losses [T, B] of this batch.
            x: the clean inputs.
        """
        best = images[0]
        if len(images) == 1:
            return best
        seen = self._scaled(self.expected(losses))
        judge = (self.judge or self.objective).bind(seen, x)
        score = judge.score(seen(best))
        for other in images[1:]:
            challenge = judge.score(seen(other))
            better = challenge > score
            best = torch.where(per_image(better, best), other, best)
            score = torch.where(better, challenge, score)
        return best

    def expected(self, losses: Losses) -> Losses:
        """The mean of `eot` evaluations of the losses, each with a draw of its own."""
        if self.eot == 1:
            return losses
        return lambda x: torch.stack([losses(x) for _ in range(self.eot)]).mean(0)

    def rise(self, before: Tensor, after: Tensor, x: Tensor) -> Tensor:
        """The increase of the objective [B] from losses `before` [T, B] (of the clean images `x`) to `after`."""
        seen = self._scaled(lambda _: before)
        objective = self.objective.bind(seen, x)
        return objective.score(self._scaled(lambda _: after)(x)) - objective.score(seen(x))

    def _scaled(self, losses: Losses) -> Losses:
        """The losses multiplied by `loss_scale`; the only place that applies it."""
        factors = [self.loss_scale.get(task.name, 1.0) for task in self.seen]
        if all(factor == 1 for factor in factors):
            return losses

        def scaled(x: Tensor) -> Tensor:
            values = losses(x)
            return values * values.new_tensor(factors)[:, None]

        return scaled
