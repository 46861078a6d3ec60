"""One pass over the images of a loader: every attack on one model, and what is stored of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from mtlbench.api.converged import doubled, plans_of
from mtlbench.api.kept import chosen_images, kept_images, picked
from mtlbench.api.result import Result
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import METRICS
from mtlbench.constants import SAMPLE_OF
from mtlbench.data.batch import Batch
from mtlbench.data.own import OwnImages
from mtlbench.engine.clean_values import CleanValues
from mtlbench.engine.evaluate import Pass, cpu_block, evaluate
from mtlbench.engine.plan import Plan
from mtlbench.engine.precision import FP32, computing_in
from mtlbench.engine.record import Record
from mtlbench.errors import DataError, UsageError
from mtlbench.experiment import provenance
from mtlbench.identity import without_neutral
from mtlbench.metrics.formulas import formulas_of
from mtlbench.metrics.sketch import sketched
from mtlbench.models.measured import record_of
from mtlbench.models.model import MultiTaskModel
from mtlbench.probing.ask import IMAGES, before
from mtlbench.process.progress import silent
from mtlbench.report.terminal import progress_bar
from mtlbench.storage.images import KeptImages
from mtlbench.storage.store import Cell
from mtlbench.tasks import Task


@dataclass(frozen=True)
class Run:
    """All of `mtlbench.attack` but model and loader; `attacks` are pairs of name and target -> attack."""

    tasks: Sequence[Task]
    attacks: Sequence[tuple[str, Mapping[str, Attack]]]
    epsilons: list[float]
    device: torch.device
    seed: int
    limit: int | None
    batch_size: int
    dataset: str
    probe: str | None
    replicates: int
    progress: bool
    converged: int | None = None
    save_images: int | None = None

    def made_on(self, source: MultiTaskModel) -> "Run":
        """The same, with attacks that are made on another model."""
        attacks = [(name, {at: replace(one, source=source) for at, one in by.items()}) for name, by in self.attacks]
        return replace(self, attacks=attacks)

    def of(self, model: MultiTaskModel, loader: Any) -> Result:
        """Attack a model on the images of a loader."""
        images = OwnImages(loader, self.tasks, self.limit)
        if self.save_images is not None:
            self._require_second_read(loader, f"save_images={self.save_images}: the images are known only afterwards")
        wanted = plans_of(self.attacks, self.epsilons)
        head = images.first(IMAGES).to(self.device)
        sample = None if self.converged is None else images.first(self.converged)
        asked = before(model, self.tasks, lambda number: images.first(number).to(self.device), self.probe)
        measured = record_of(model, lambda: head.input[:1])
        size = head.input.shape[2:]
        at_once = cpu_block((size[0], size[1])) if self.device.type == "cpu" else self.batch_size
        title = f"attack {self.dataset} {model.identity()['model']}"
        with computing_in(FP32, model), progress_bar(title) if self.progress else nullcontext(silent) as shown:
            work = Pass(model, self.tasks, wanted, self.seed, self._clean_values(model, loader, at_once))
            records = evaluate(work, images.blocks(at_once), self.device, images.expected, shown)
            checked = [] if sample is None else self._checked(work, sample, at_once)
        common = {
            "dataset": self.dataset,
            "split": "test",
            "fingerprint": images.fingerprint,
            "n_images": images.images,
            **model.identity(),
            "training": "given",
            "seed": self.seed,
        }
        about = provenance.record(self.device) | {"recipe": None, "config": None}
        about |= without_neutral({"sharing_measured": measured}) | (
            {} if asked is None else {"probe": asked.described()}
        )
        names, formulas = {task.name: list(task.metric_names) for task in self.tasks}, formulas_of(self.tasks)

        def cell(plan: Plan, record: Record, more: Mapping[str, Any]) -> Cell:
            found = {**about, **record.cost_per_image}
            return Cell({**common, **plan.identity, **more}, found, names, sketched(record.arrays()), formulas)

        cells = [cell(plan, records[plan.key], {}) for plan in wanted]
        kept = None if self.save_images is None else self._kept(work, loader, cells, at_once, self.save_images)
        keys = dict(zip([plan.key for plan in wanted], [one.key for one in cells], strict=True))
        for whole, plan, record in checked:
            of_sample = {"split": "test sample", "n_images": record.done, SAMPLE_OF: keys[whole.key]}
            cells.append(cell(plan, record, of_sample))
        return Result(cells, replicates=self.replicates, seed=self.seed, images=kept)

    def _kept(self, work: Pass, loader: Any, cells: Sequence[Cell], at_once: int, number: int) -> KeptImages:
        """Attack so many images of a pass once more and keep them; `cells` are those of the pass, computed.

        Raises:
            DataError: the loader gives other images than before.
        """
        places = chosen_images(cells, number)
        again = OwnImages(loader, self.tasks, self.limit)
        batches = picked(again.blocks(at_once), places, at_once, self.device)
        if again.fingerprint != cells[0].identity["fingerprint"]:
            raise DataError("save_images: the loader gives other images when it is read again; does it shuffle?")
        with computing_in(FP32, work.model):
            return kept_images(work, cells, places, batches)

    @staticmethod
    def _require_second_read(loader: Any, why: str) -> None:
        if isinstance(loader, Iterator):
            raise UsageError(
                f"{why}, so the loader is read twice; expected a DataLoader or a list of batches, not an iterator"
            )

    def _checked(self, work: Pass, sample: Batch, at_once: int) -> list[tuple[Plan, Plan, Record]]:
        """Of a few images: each cell that is checked, and its attack as it is and with twice the steps."""
        once, twice = work.cells, plans_of(doubled(self.attacks), self.epsilons)
        wanted = {plan.key: plan for plan in (*once, *twice)}
        parts = [sample[start : start + at_once] for start in range(0, len(sample), at_once)]
        records = evaluate(replace(work, cells=list(wanted.values())), parts, self.device, len(sample))
        pairs = {plan.key: (whole, plan) for whole, plan in zip((*once, *once), (*once, *twice), strict=True)}
        return [(whole, plan, records[plan.key]) for whole, plan in pairs.values()]

    def _clean_values(self, model: MultiTaskModel, loader: Any, at_once: int) -> CleanValues | None:
        """Of the metrics that attacks climb, on all images; None where no attack climbs metrics."""
        attacks = [attack for _, targets in self.attacks for attack in targets.values()]
        climbing = [attack for attack in attacks if attack.objective.climbs == METRICS]
        if not climbing:
            return None
        self._require_second_read(
            loader, f"objective={climbing[0].objective.name}: it needs the metrics' clean values first"
        )
        whole = partial(OwnImages, loader, self.tasks, self.limit)
        found = CleanValues(model, lambda: whole().blocks(at_once), self.device, self.seed)
        for attack in climbing:
            found(attack.seen)
        return found
