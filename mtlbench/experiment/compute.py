"""Computes missing cells: claims them, resumes where a killed run stopped, saves results, records failures."""

import logging
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Batch
from mtlbench.engine.counting import Cost
from mtlbench.engine.evaluate import Pass, evaluate
from mtlbench.engine.plan import Plan
from mtlbench.engine.record import Record
from mtlbench.engine.smoothing import Smoothing
from mtlbench.engine.terms import ValuesOf
from mtlbench.errors import BusyError, DamagedCellError, FailedCellsError, reason
from mtlbench.experiment.session import Session
from mtlbench.identity import without_neutral
from mtlbench.metrics.formulas import formulas_of
from mtlbench.metrics.sketch import sketched
from mtlbench.models.measured import record_of
from mtlbench.models.model import MultiTaskModel
from mtlbench.process import signals, watchdog
from mtlbench.process.progress import Progress
from mtlbench.process.watchdog import ProgressBar
from mtlbench.scores.derived import Deriving
from mtlbench.storage import owner
from mtlbench.storage.claims import held, release, take
from mtlbench.storage.store import Cell, Store

SECONDS_BETWEEN_SAVES = 60.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """Cells of one model on one split.

    Attributes:
        store: where the cells are kept.
        model: on `device`.
        dataset: the split.
        plans: the cells.
        seed: of random starts and noise.
        device: where to compute.
        loader: gives the split in order.
        origin: the provenance recorded beside the numbers.
        progress_bar: opens a progress bar.
        title: of the progress bar.
        session: of the invocation.
        clean_values: of metrics, for attacks that climb them.
        defence: of the model.
    """

    store: Store
    model: MultiTaskModel
    dataset: MultiTaskDataset
    plans: Sequence[Plan]
    seed: int
    device: torch.device
    loader: Iterable[Batch]
    origin: Mapping[str, Any]
    progress_bar: ProgressBar
    title: str
    session: Session
    clean_values: ValuesOf | None = None
    defence: Smoothing | None = None

    @property
    def images(self) -> int:
        """Size of the split."""
        return len(self.dataset)


def complete(job: Job) -> None:
    """Compute and store the missing cells of `job`, except those claimed by other processes.

    Raises:
        BusyError: another process is computing some of them.
        FailedCellsError: some of them failed; the others are stored.
    """
    job.store.tidy()
    for plan in job.plans:
        if plan.alternatives and plan.key in job.store and any(p.key not in job.store for p in plan.alternatives):
            job.store.spread(plan.key)
    try:
        mine, others = _claim(job)
        if mine:
            _Run(job, mine)()
    finally:
        # Release all: a signal may arrive between two steps of a claim. Claims of other processes are not affected.
        for plan in job.plans:
            release(job.store.path(plan.key))
    others |= {p.key: "?" for p in mine if p.key not in job.session.computed | job.session.failed.keys()}
    if others:
        who = ", ".join(sorted(map(owner.words, set(others.values()))))
        raise BusyError(f"{len(others)} of {len(job.plans)} cells of {job.title}: {who} computes them")
    failed = [plan for plan in job.plans if plan.key in job.session.failed]
    if failed:
        raise FailedCellsError(f"{len(failed)} of {len(job.plans)} cells of {job.title} failed")


def _claim(job: Job) -> tuple[list[Plan], dict[str, str]]:
    """The missing cells that this process has claimed, and cell -> owner of those claimed by others."""
    mine: list[Plan] = []
    others: dict[str, str] = {}
    for plan in job.plans:
        if plan.key in job.session.failed or _stored(job, plan):
            continue
        other = take(job.store.path(plan.key))
        if other is not None:
            others[plan.key] = other
            continue
        mine.append(plan)
        if _stored(job, plan, claimed=True):  # finished between the check and the claim
            release(job.store.path(mine.pop().key))
    return mine, others


def _stored(job: Job, plan: Plan, claimed: bool = False) -> bool:
    """Whether the cell is stored and intact; a damaged one is set aside if its claim is held."""
    if plan.key not in job.store or (job.session.force and plan.key not in job.session.computed):
        return False
    try:
        job.store.load(plan.key)
    except DamagedCellError as error:
        if claimed:
            aside = job.store.set_aside(plan.key)
            print(f"mtlbench: {error}; moved to {aside}", file=sys.stderr, flush=True)
        return False
    return True


class _Run:
    """One pass over the split for some claimed cells; unfinished cells are saved to be resumed later."""

    def __init__(self, job: Job, plans: Sequence[Plan]) -> None:
        self.job, self.plans, self.session = job, {plan.key: plan for plan in plans}, job.session
        kept = {} if self.session.force else {key: job.store.kept(key) for key in self.plans}
        found = {key: part for key, part in kept.items() if part is not None}
        self.records = {
            key: Record.of(cell.arrays, done, job.device, Cost.of(cell.provenance, done))
            for key, (cell, done) in found.items()
        }
        self.earlier = {key: float(cell.provenance["pass_seconds"]) for key, (cell, _) in found.items()}
        self.measured: dict[str, Any] = {}
        self.deriving = Deriving(job.store, [plan.key for plan in job.plans if plan.attack is None])
        self.started = time.perf_counter()
        self.saved = time.monotonic()

    def __call__(self) -> None:
        try:
            with self.job.progress_bar(self.job.title) as progress:
                self._evaluate(progress)
            for key in self._unfinished():
                self._save(key)
        except (Exception, SystemExit) as error:
            for key in () if signals.received else self._unfinished():
                self._fail(key, error, shown=False)  # the caller prints it, once for all of them
            raise
        finally:
            self._keep()

    def _evaluate(self, progress: Progress) -> None:
        job = self.job
        plans = list(self.plans.values())
        work = Pass(job.model, job.dataset.tasks, plans, job.seed, job.clean_values, job.defence)
        done = [key in self.records and self.records[key].done == job.images for key in self.plans]
        # All images are done if the last run was stopped while saving.
        loader = () if all(done) else job.loader

        labels = {key: plan.label for key, plan in self.plans.items()}
        watchdog.cells(job.store.folder, labels, go_on=not (self.session.force or self.session.fail_fast))

        seen = 0

        def on_cell(key: str) -> None:
            watchdog.at(key)
            progress(seen, job.images, f"images, {_doing(self.plans[key])}")

        def on_batch(images: int, total: int, note: str) -> None:
            nonlocal seen
            seen = images
            watchdog.at(None)
            if time.monotonic() - self.saved > SECONDS_BETWEEN_SAVES:
                self._keep()
            progress(images, total, note)

        first = partial(_image, job)
        self.measured = without_neutral({"sharing_measured": record_of(job.model, first)})
        if size := sum(parameter.numel() for parameter in job.model.parameters()):
            self.measured["parameters"] = size
        evaluate(work, loader, job.device, job.images, on_batch, self.records, self._failed, on_cell)

    def _failed(self, key: str, error: BaseException) -> None:
        self._fail(key, error, shown=True)
        if self.session.fail_fast:
            raise FailedCellsError("stopped at the first failure, as fail_fast=true asks for") from error

    def _fail(self, key: str, error: BaseException, shown: bool) -> None:
        fail(self.job.store, self.session, self.plans[key], error, self.job.origin, shown)

    def _save(self, key: str) -> None:
        path = self.job.store.path(key)
        if not held(path):  # stopped for so long that another machine considered this process dead
            log.warning("%s: another process has taken the claim over", path)
            return
        try:
            cell = self._cell(key)
            cell = replace(cell, arrays=sketched(cell.arrays))
            self.job.store.save(cell, self.deriving(cell))
        except OSError as error:  # full disk: other cells may still fit
            self._failed(key, error)
        else:
            self.session.computed.add(key)
            log.info("stored %s", key)
            release(path)

    def _keep(self) -> None:
        """Save the unfinished cells. This only saves time later, so a full disk is no error."""
        lost = []
        for key in self.plans.keys() - self.session.computed:
            if key in self.records and self.records[key].done:
                try:
                    self.job.store.keep(self._cell(key), self.records[key].done)
                except OSError as error:
                    lost.append(error)
        if lost:
            print(f"mtlbench: {reason(lost[0])}; {len(lost)} unfinished cells cannot be kept", file=sys.stderr)
        self.saved = time.monotonic()

    def _unfinished(self) -> list[str]:
        return [key for key in self.plans if key not in self.session.computed and key not in self.session.failed]

    def _cell(self, key: str) -> Cell:
        job, plan = self.job, self.plans[key]
        seconds = self.earlier.get(key, 0.0) + time.perf_counter() - self.started
        about = {
            "pass_seconds": round(seconds, 3),
            "cells_in_pass": len(self.plans),
            **self.records[key].cost_per_image,
        }
        tasks = {task.name: list(task.metric_names) for task in job.dataset.tasks}
        formulas = formulas_of(job.dataset.tasks)
        origin = {**job.origin, **self.measured, **about}
        return Cell(plan.identity, origin, tasks, self.records[key].arrays(), formulas)


def _doing(plan: Plan) -> str:
    """What is computed, for a progress bar whose title names the model."""
    if plan.attack is None:
        return "no attack"
    step = plan.attack.step
    return f"{plan.identity['attack']} with {step.name}, {step.steps} steps, eps {plan.eps:g}"


def _image(job: Job) -> Tensor:
    """The first image, as a batch."""
    return job.dataset.sample(0).input[None].to(job.device)


def fail(
    store: Store, session: Session, plan: Plan, error: BaseException, origin: Mapping[str, Any], shown: bool = True
) -> None:
    """Record and print that a cell could not be computed."""
    session.failed[plan.key] = f"{plan.label}: {reason(error)}"
    watchdog.failed(plan.key, session.failed[plan.key])
    log.info("failed: %s", plan.label, exc_info=error)
    if shown:
        print(f"mtlbench: failed: {session.failed[plan.key]}", file=sys.stderr, flush=True)
    try:
        store.fail(plan.key, plan.label, error, origin)
    except OSError as full:
        print(f"mtlbench: the failure cannot be recorded ({full})", file=sys.stderr, flush=True)
