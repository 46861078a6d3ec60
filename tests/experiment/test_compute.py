"""Missing cells: continued where they were interrupted, and failing one by one."""

import copy
import dataclasses
import errno
import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Total, WeightedTotal
from mtlbench.attacks.steps import APGD, PGD
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.loader import in_order
from mtlbench.engine import evaluate
from mtlbench.engine.plan import Plan
from mtlbench.errors import BusyError, DataError, FailedCellsError
from mtlbench.experiment import cells, compute
from mtlbench.experiment.compute import Job, complete
from mtlbench.experiment.session import Session
from mtlbench.models.adapted import Adapted
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.process import watchdog
from mtlbench.process.progress import Progress
from mtlbench.process.watchdog import watched
from mtlbench.storage.claims import claim_of, release, take
from mtlbench.storage.store import Store
from tests.fakes import FakeDataset, Trivial

CPU = torch.device("cpu")
IMAGES = 7
TASKS = FakeDataset().tasks
pytestmark = pytest.mark.usefixtures("one_thread")


def plan(name: str, attack: Attack | None, eps: float = 8.0, alternatives: Sequence[Plan] = ()) -> Plan:
    """A cell of that name."""
    identity = {"dataset": "fake", "model": "tiny", "sharing": "share2", "attack": name, "target": "all", "eps": eps}
    return cells.plan(identity, attack, eps, alternatives)


PLANS = (
    plan("none", None, 0.0),
    plan("pgd", Attack(DGBA(), PGD(2), TASKS)),
    plan("random", Attack(DGBA(), PGD(2), TASKS, random_start=True)),
    plan("weighted", Attack(WeightedTotal(1), APGD(2), TASKS)),
)


@pytest.fixture(scope="module")
def model() -> TreeModel:
    """Dropout would make every pass another one if it were not switched off."""
    return build(Trivial(dropout=0.5), level(3, 2), TASKS, seed=0).eval()


@contextmanager
def silent(title: str) -> Iterator[Progress]:
    yield lambda done, total, note: None


def job_in(folder: Path, model: TreeModel) -> Job:
    return Job(
        store=Store(folder),
        model=model,
        dataset=FakeDataset(IMAGES, empty=[4]),
        plans=PLANS,
        seed=0,
        device=CPU,
        loader=in_order(FakeDataset(IMAGES, empty=[4]), 2),
        origin={"host": "here"},
        progress_bar=silent,
        title="attack",
        session=Session(),
    )


@pytest.fixture
def job(model: TreeModel, tmp_path: Path) -> Job:
    return job_in(tmp_path / "store", model)


change = dataclasses.replace


def again(job: Job, **changes) -> Job:
    """The same in the next process."""
    return change(job, session=Session(), **changes)


def reading(dataset: MultiTaskDataset, at_once: int = 2) -> dict:
    """Changes of a job."""
    return {"dataset": dataset, "loader": in_order(dataset, at_once)}


def decoded(job: Job) -> int:
    """How many images it has read."""
    assert isinstance(job.dataset, FakeDataset)
    return job.dataset.decoded.total()


def arrays(job: Job) -> dict[str, dict[str, np.ndarray]]:
    return {str(cell.identity["attack"]): dict(cell.arrays) for cell in job.store}


def assert_same(found, expected) -> None:
    """Bit for bit."""
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name].keys() == expected[name].keys()
        for statistic, array in expected[name].items():
            assert array.dtype == found[name][statistic].dtype
            assert np.array_equal(found[name][statistic], array, equal_nan=True), (name, statistic)


def files(job: Job) -> set[str]:
    """What lies in the store beside cells."""
    found = (path.relative_to(job.store.folder) for path in job.store.folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.parent != Path() or path.suffix != ".npz"}


@pytest.fixture(scope="module")
def whole(model: TreeModel, tmp_path_factory: pytest.TempPathFactory, one_thread: None):
    """The statistics that an uninterrupted run gives."""
    other = job_in(tmp_path_factory.mktemp("whole"), model)
    complete(other)
    return arrays(other)


def stopping(error: type[BaseException], after: int):
    """A progress bar during which the user presses Ctrl-C after so many batches."""

    @contextmanager
    def progress_bar(title: str) -> Iterator[Progress]:
        batches = {0}

        def progress(done: int, total: int, note: str) -> None:
            batches.add(done)
            if len(batches) > after:
                raise error

        yield progress

    return progress_bar


class Stop(BaseException):
    """As SIGTERM."""


def test_complete(job: Job, whole) -> None:
    complete(job)
    assert set(job.store.keys()) == job.session.computed == {plan.key for plan in PLANS}
    assert files(job) == set()
    assert not list(job.store.folder.glob(".*"))
    assert_same(arrays(job), whole)
    before = {path: path.stat() for path in job.store.folder.iterdir()}
    dataset = FakeDataset(IMAGES, empty=[4])
    complete(again(job, **reading(dataset)))
    assert {path: path.stat() for path in job.store.folder.iterdir()} == before
    assert dataset.decoded.total() == 0, "nothing is read where nothing is missing"


# Interrupted


@pytest.mark.parametrize(("error", "after"), [(Stop, 1), (KeyboardInterrupt, 2), (Stop, 4)])
def test_an_interrupted_pass_continues_bit_equal(job: Job, whole, error, after: int) -> None:
    with pytest.raises(error):
        complete(change(job, progress_bar=stopping(error, after)))
    assert job.store.keys() == []
    assert job.store.failures() == {}
    done = min(2 * after, IMAGES)
    for one in PLANS:
        part = job.store.kept(one.key)
        assert part is not None
        assert part[1] == done
        assert not claim_of(job.store.path(one.key)).exists()
    tried = again(job, **reading(FakeDataset(IMAGES, empty=[4])))
    complete(tried)
    assert_same(arrays(tried), whole)
    assert files(tried) == set(), "the partial cells are gone"
    if after == 4:
        assert decoded(tried) == 0, "all was known already"


def test_interrupted_again_and_again(job: Job, whole) -> None:
    for _ in range(3):
        with pytest.raises(Stop):
            complete(again(job, progress_bar=stopping(Stop, 2)))
    complete(again(job))
    assert_same(arrays(job), whole)


def test_an_interrupted_cell_keeps_whole_batches(job: Job, whole, monkeypatch) -> None:
    """Stopped between two cells of a batch: some of them have it, some do not."""
    calls, real = 0, evaluate.Pass.batch

    def batch(*arguments):
        nonlocal calls
        calls += 1
        if calls == 6:
            raise Stop
        return real(*arguments)

    monkeypatch.setattr(evaluate.Pass, "batch", batch)
    with pytest.raises(Stop):
        complete(job)
    monkeypatch.undo()
    kept = {str(p.identity["attack"]): job.store.kept(p.key) for p in PLANS}
    assert {name: part and part[1] for name, part in kept.items()} == {"none": 4, "pgd": 2, "random": 2, "weighted": 2}
    complete(again(job))
    assert_same(arrays(job), whole)


@pytest.fixture(scope="module")
def precise(model: TreeModel, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Job:
    """Done in double precision, where the rounding of a convolution is too small to reach any statistic."""
    dataset = FakeDataset(IMAGES, empty=[4], dtype=torch.float64)
    double = copy.deepcopy(model).double()
    complete(job := change(job_in(tmp_path_factory.mktemp("precise"), double), **reading(dataset)))
    return job


@pytest.mark.parametrize(("first", "second"), [(2, 1), (3, 2), (2, 3), (3, 7)])
def test_another_batch_size_continues(precise: Job, tmp_path: Path, first: int, second: int) -> None:
    job = change(precise, store=Store(tmp_path / "store"))
    with pytest.raises(Stop):
        complete(again(job, **reading(precise.dataset, first), progress_bar=stopping(Stop, 1)))
    complete(again(job, **reading(precise.dataset, second)))
    found, expected = arrays(job), arrays(precise)
    assert found.keys() == expected.keys()
    for name in expected:
        for statistic, array in expected[name].items():
            np.testing.assert_allclose(
                found[name][statistic], array, rtol=1e-9, atol=1e-12, err_msg=f"{name} {statistic}"
            )


WEIGHTINGS = tuple(
    plan(f"part {i}", part) for i, part in enumerate(Attack(WeightedTotal(1), APGD(2), TASKS).alternatives)
)
SEARCH = plan("weighted", Attack(WeightedTotal(1), APGD(2), TASKS), alternatives=WEIGHTINGS)


@pytest.fixture(scope="module")
def together(model: TreeModel, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Job:
    """A search and its cells, done from nothing."""
    complete(job := change(job_in(tmp_path_factory.mktemp("together"), model), plans=(*WEIGHTINGS, SEARCH)))
    return job


@pytest.mark.parametrize("stored", [(), (0,), (0, 1, 2), (3,)])
def test_a_search_with_some_of_its_cells_stored(job: Job, together: Job, whole, stored: tuple[int, ...]) -> None:
    """Whatever is stored, the rest comes out as if nothing were, and what is stored stays."""
    cells = (*WEIGHTINGS, SEARCH)
    for i in stored:
        job.store.save(together.store.load(cells[i].key))
    before = {path: path.stat().st_mtime_ns for path in job.store.folder.glob("*.npz")}
    complete(again(job, plans=cells))
    assert_same(arrays(job), arrays(together))
    assert_same({"weighted": arrays(job)["weighted"]}, {"weighted": whole["weighted"]})
    assert {path: path.stat().st_mtime_ns for path in before} == before
    prices = {str(cell.identity["attack"]): cell.provenance["gradients_per_image"] for cell in job.store}
    assert prices == {"part 0": 2, "part 1": 2, "part 2": 2, "weighted": 6}


def test_a_search_that_was_interrupted_between_its_cells(job: Job, whole, monkeypatch) -> None:
    """Some of them have a batch that others lack; gradients of before the interruption count."""
    calls, real = 0, evaluate.Pass.batch

    def batch(*arguments):
        nonlocal calls
        calls += 1
        if calls == 7:
            raise Stop
        return real(*arguments)

    monkeypatch.setattr(evaluate.Pass, "batch", batch)
    cells = (*WEIGHTINGS, SEARCH)
    with pytest.raises(Stop):
        complete(change(job, plans=cells))
    monkeypatch.undo()
    assert [part and part[1] for part in (job.store.kept(one.key) for one in cells)] == [4, 4, 2, 2]
    complete(again(job, plans=cells))
    assert_same({"weighted": arrays(job)["weighted"]}, {"weighted": whole["weighted"]})
    assert [job.store.load(one.key).provenance["gradients_per_image"] for one in cells] == [2, 2, 2, 6]


def test_a_long_pass_is_kept_now_and_then(job: Job, monkeypatch) -> None:
    monkeypatch.setattr(compute, "SECONDS_BETWEEN_SAVES", -1.0)
    counts = {}

    @contextmanager
    def progress_bar(title: str) -> Iterator[Progress]:
        def progress(done: int, total: int, note: str) -> None:
            counts[done] = [part and part[1] for part in map(look, PLANS)]

        yield progress

    def look(one: Plan):
        return job.store.kept(one.key)

    complete(change(job, progress_bar=progress_bar))
    assert counts == {0: [None] * 4, 2: [2] * 4, 4: [4] * 4, 6: [6] * 4, 7: [7] * 4}
    assert files(job) == set()


def test_progress_says_what_is_computed(job: Job) -> None:
    """A batch may take minutes: every cell of it is announced before it starts, with the images that are done."""
    seen = []

    @contextmanager
    def progress_bar(title: str) -> Iterator[Progress]:
        yield lambda done, total, note: seen.append((done, total, note))

    complete(change(job, progress_bar=progress_bar))
    labels = [note for done, _, note in seen if done == 2]
    assert labels[0] == "images, 4 cells at once"
    assert labels[1] == "images, no attack"
    assert "images, pgd with pgd, 2 steps, eps 8" in labels
    assert all(total == 7 for _, total, _ in seen)


def test_a_damaged_part_is_computed_again(job: Job, whole) -> None:
    with pytest.raises(Stop):
        complete(change(job, progress_bar=stopping(Stop, 2)))
    part = next((job.store.folder / "partial").iterdir())
    part.write_bytes(part.read_bytes()[:-100])
    complete(again(job))
    assert_same(arrays(job), whole)


# Failing


class Failing(Total):
    """Raises on the batch that holds image 4 or later."""

    def __init__(self, error: BaseException | None = None, late: bool = False) -> None:
        self.error, self.late = error, late

    def score(self, losses: Tensor) -> Tensor:
        if self.late:
            signal.raise_signal(watchdog.LATE)
        if self.error is not None:
            raise self.error
        return losses.sum(0)


def with_one_more(job: Job, **how) -> Job:
    """A failing cell among the others, not the last one."""
    failing = plan("failing", Attack(Failing(**how), PGD(2), TASKS))
    return change(job, plans=(*PLANS[:2], failing, *PLANS[2:]))


ERRORS = {
    "exception": (ValueError("a reason\nand more"), "ValueError: a reason"),
    "exit": (SystemExit(0), "sys.exit(0) was called"),
    "memory": (MemoryError(), "MemoryError"),
    "gpu memory": (torch.OutOfMemoryError("CUDA out of memory"), "OutOfMemoryError: CUDA out of memory"),
    "recursion": (RecursionError("too deep"), "RecursionError: too deep"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_one_failing_cell_stops_no_other(job: Job, whole, case: str, capsys) -> None:
    error, text = ERRORS[case]
    broken = with_one_more(job, error=error)
    with pytest.raises(FailedCellsError, match=r"^1 of 5 cells of attack failed$"):
        complete(broken)
    assert_same(arrays(job), whole)
    (lost,) = (one for one in broken.plans if one.identity["attack"] == "failing")
    described = f"fake tiny share2 failing eps 8: {text}"
    assert job.store.failures() == broken.session.failed == {lost.key: described}
    assert capsys.readouterr().err == f"mtlbench: failed: {described}\n"
    record = json.loads((job.store.folder / "failures" / f"{lost.key}.json").read_text())
    assert record["reason"] == text
    assert "in score" in record["traceback"]
    assert record["host"] == "here"
    assert not list(job.store.folder.glob(".*")), "no claim is left"
    # The same invocation does not try it again; the next one does, and it works now.
    with pytest.raises(FailedCellsError):
        complete(change(broken, plans=(lost,)))
    assert capsys.readouterr().err == ""
    repaired = change(lost, attack=Attack(Failing(), PGD(2), TASKS))
    complete(again(broken, plans=[*PLANS, repaired]))
    assert job.store.failures() == {}
    assert lost.key in job.store
    assert files(job) == set()


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A pipe to a supervisor that only listens."""
    monkeypatch.setattr(watchdog, "_link", watchdog._Link())
    pipe, theirs = os.pipe()
    watchdog.connect(theirs)
    yield pipe
    os.close(pipe)
    os.close(theirs)


def test_a_cell_that_hangs_is_left_out(job: Job, whole, supervisor: int) -> None:
    hanging = with_one_more(job, late=True)
    with pytest.raises(FailedCellsError):
        complete(change(hanging, progress_bar=watched(silent, 60.0)))
    assert_same(arrays(job), whole)
    assert ["no progress for 60 seconds" in text for text in job.store.failures().values()] == [True]


@pytest.mark.parametrize("how", [{}, {"force": True}, {"fail_fast": True}], ids=str)
def test_the_supervisor_knows_what_would_be_lost(job: Job, supervisor: int, how: dict[str, Any]) -> None:
    """The cells of the pass, each of them while it is computed, and those that have failed."""
    broken = with_one_more(job, error=ValueError("a reason"))
    (failing,) = {plan.key for plan in broken.plans} - {plan.key for plan in PLANS}
    with pytest.raises(FailedCellsError):
        complete(change(broken, progress_bar=watched(silent, 60.0), session=Session(**how)))
    told = [json.loads(line) for line in os.read(supervisor, 1 << 16).splitlines() if line]
    assert told[0] == {"title": "attack", "timeout": 60.0, "raises": True}
    labels = {plan.key: plan.label for plan in broken.plans}
    assert told[1] == {"store": str(job.store.folder), "cells": labels, "go_on": not how, "at": None}
    assert {"title": None} in told
    first = [one["at"] for one in told[2:] if "at" in one][: len(broken.plans)]
    assert first == [plan.key for plan in broken.plans][: len(first)]
    assert {"failed": {failing: f"{labels[failing]}: ValueError: a reason"}} in told


def test_fail_fast(job: Job) -> None:
    broken = with_one_more(job, error=ValueError("a reason"))
    broken.session.fail_fast = True
    with pytest.raises(FailedCellsError, match="stopped at the first failure"):
        complete(broken)
    assert job.store.keys() == []
    reasons = {text.partition(": ")[0].split()[3]: text for text in job.store.failures().values()}
    assert "ValueError: a reason" in reasons["failing"]
    assert not list(job.store.folder.glob(".*"))


class Unreadable(FakeDataset):
    def sample(self, index: int, draw: int | None = None):
        if index == 4:
            raise DataError("/nowhere/4.png: cannot be decoded")
        return super().sample(index, draw)


def test_an_unreadable_image_fails_every_cell(job: Job, whole) -> None:
    with pytest.raises(DataError, match=r"4\.png: cannot be decoded"):
        complete(change(job, **reading(Unreadable(IMAGES, empty=[4]))))
    assert job.store.keys() == []
    assert len(job.store.failures()) == 4
    assert all("4.png" in text for text in job.store.failures().values())
    complete(again(job))
    assert_same(arrays(job), whole)
    assert files(job) == set()


def test_a_full_disk_costs_the_cell_that_did_not_fit(job: Job, whole, monkeypatch) -> None:
    lost, real = PLANS[1].key, Store.save

    def save(self: Store, cell, derived=None):
        if cell.key == lost:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path(cell.key)))
        return real(self, cell, derived)

    monkeypatch.setattr(Store, "save", save)
    with pytest.raises(FailedCellsError, match="1 of 4"):
        complete(job)
    assert set(job.store.keys()) == {one.key for one in PLANS} - {lost}
    assert "No space left on device" in job.store.failures()[lost]
    monkeypatch.undo()
    tried = again(job, **reading(FakeDataset(IMAGES, empty=[4])))
    complete(tried)
    assert decoded(tried) == 0, "its part had been kept"
    assert_same(arrays(job), whole)


def test_a_disk_too_full_for_anything(job: Job, monkeypatch, capsys) -> None:
    def full(self: Store, *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(self.folder))

    for name in ("save", "keep", "fail"):
        monkeypatch.setattr(Store, name, full)
    with pytest.raises(FailedCellsError, match="4 of 4"):
        complete(job)
    assert "the failure cannot be recorded" in capsys.readouterr().err
    assert not list(job.store.folder.glob(".*"))


# Stored cells


def test_force_computes_again_once(job: Job, whole) -> None:
    complete(job)
    keys = job.store.keys()
    before = {key: job.store.path(key).stat().st_ino for key in keys}
    forced = change(job, session=Session(force=True))
    complete(forced)
    after = {key: job.store.path(key).stat().st_ino for key in keys}
    assert all(after[key] != inode for key, inode in before.items())
    complete(forced)
    assert {key: job.store.path(key).stat().st_ino for key in keys} == after
    assert_same(arrays(job), whole)


def test_force_does_not_continue_a_part(job: Job, whole) -> None:
    with pytest.raises(Stop):
        complete(change(job, progress_bar=stopping(Stop, 2)))
    tried = change(job, session=Session(force=True), **reading(FakeDataset(IMAGES, empty=[4])))
    complete(tried)
    assert decoded(tried) == IMAGES
    assert_same(arrays(job), whole)


def test_a_damaged_cell_is_set_aside_and_computed_again(job: Job, whole, capsys) -> None:
    complete(job)
    path = job.store.path(PLANS[1].key)
    path.write_bytes(path.read_bytes()[:-1])
    complete(again(job))
    assert_same(arrays(job), whole)
    assert len(list((job.store.folder / "corrupt").iterdir())) == 1
    assert "damaged cell" in capsys.readouterr().err


# Others


def others_claim(job: Job, one: Plan) -> Path:
    folder = claim_of(job.store.path(one.key))
    folder.mkdir(parents=True)
    (folder / "elsewhere~b00t~1~17~99").touch()
    return folder


def test_what_others_compute_is_left_to_them(job: Job, whole) -> None:
    folder = others_claim(job, PLANS[1])
    with pytest.raises(BusyError, match=r"^1 of 4 cells of attack: process 17 on elsewhere computes them$"):
        complete(job)
    assert set(job.store.keys()) == {one.key for one in PLANS} - {PLANS[1].key}
    next(folder.iterdir()).unlink()
    complete(job)
    assert_same(arrays(job), whole)


def test_a_cell_that_somebody_finishes_just_now_is_not_computed_again(job: Job, monkeypatch) -> None:
    complete(again(job, plans=PLANS[:1]))
    looked, real = 0, Store.__contains__

    def contains(self: Store, key: str) -> bool:
        nonlocal looked
        looked += 1
        return looked > 1 and real(self, key)

    monkeypatch.setattr(Store, "__contains__", contains)
    before = job.store.path(PLANS[0].key).stat()
    complete(change(job, plans=PLANS[:1]))
    after = job.store.path(PLANS[0].key).stat()
    # Not the whole of `stat`: looking at a file may change the time of its last reading.
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert job.session.computed == set()
    assert not claim_of(job.store.path(PLANS[0].key)).exists()


def test_claims_are_forgotten_where_claiming_fails(job: Job, monkeypatch) -> None:
    """Or they would be in our own way at the next point of the sweep."""
    real, taken = take, 0

    def third(path: Path) -> str | None:
        nonlocal taken
        taken += 1
        if taken == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path)

    monkeypatch.setattr(compute, "take", third)
    with pytest.raises(OSError, match="No space"):
        complete(job)
    assert not list(job.store.folder.glob(".*.claim"))


def test_a_claim_that_was_lost_is_noticed(job: Job) -> None:
    """Stopped for longer than the lease of another machine: the result may be there already."""

    @contextmanager
    def progress_bar(title: str) -> Iterator[Progress]:
        yield lambda done, total, note: None
        for one in PLANS[:2]:
            release(job.store.path(one.key))
            others_claim(job, one)

    with pytest.raises(BusyError):
        complete(change(job, progress_bar=progress_bar))
    assert [one.key in job.store for one in PLANS] == [False, False, True, True]


def test_a_result_says_how_much_the_tasks_share(job: Job) -> None:
    """From the tree where there is one, else measured: the same model without its tree has the same numbers."""
    model = build(Tiny(), level(3, 2), TASKS, seed=0).eval()
    job = change(job, model=model, plans=PLANS[:1])
    complete(job)
    adapted = again(job, model=Adapted(model, TASKS, name="foreign"), plans=[plan("none", None, 1.0)])
    complete(adapted)
    of_tree, measured = (
        one.provenance["sharing_measured"] for one in sorted(job.store, key=lambda c: c.identity["eps"])
    )
    assert of_tree["shared_path"] == 3 / 16
    assert of_tree == measured
    assert of_tree["tasks"] == [task.name for task in TASKS]


def test_a_result_says_how_large_the_model_is(job: Job) -> None:
    complete(change(job, plans=PLANS[:1]))
    (one,) = job.store
    assert one.provenance["parameters"] == sum(parameter.numel() for parameter in job.model.parameters())


def test_nothing_is_said_of_a_function_without_modules(job: Job, model: TreeModel) -> None:
    complete(change(job, model=Adapted(lambda image: model(image), TASKS), plans=PLANS[:1]))
    assert all("sharing_measured" not in one.provenance for one in job.store)
