"""The commands. Thin: computation is in `experiment`, presentation in `report`."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlbench import report
from mtlbench.errors import DamagedCellError, DataError, MtlbenchError, OldCellError, UsageError
from mtlbench.experiment import provenance
from mtlbench.models.sharing import all_trees, picture
from mtlbench.options import is_whole
from mtlbench.process import watchdog
from mtlbench.report.layout import Layout
from mtlbench.report.terminal import console, progress_bar
from mtlbench.storage.files import write_atomically
from mtlbench.storage.outputs import Outputs

if TYPE_CHECKING:
    from mtlbench.experiment.images import Point
    from mtlbench.experiment.session import Session

Config = Mapping[str, Any]
EXCLUSIVE = ("cell", "audit", "compare", "merge")
"""Options of a report of which one may be given."""

SMOOTHING = "smoothing"
"""The study of certificates, shown wherever there are some."""

READING = ("report", "data", "layouts")
"""Commands that work in a read-only outputs folder."""


@dataclass
class Command:
    """A command of the command line.

    Attributes:
        job: called once per point of a sweep.
        finish: called once after all of them.
    """

    job: Callable[[Config], None]
    finish: Callable[[], None]


class _Computing:
    """Base of the commands that compute: one session over all points of a sweep."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.config: Config | None = None

    def begin(self, config: Config) -> "Session":
        """Record the configuration of a point; before the first one, also remove leftovers of killed runs."""
        _same_folder(self.config, config)
        self.config = config
        _record_run(config)
        if self.session is None:
            Outputs.of(config).tidy()
            self.session = _session(config)
        return self.session


class Attack(_Computing):
    """Compute missing cells, then write and print the tables of the cells that this invocation asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[Point] = []

    def job(self, config: Config) -> None:
        """One point of a sweep."""
        from mtlbench.experiment.images import Point
        from mtlbench.experiment.run import run_attack

        found = run_attack(config, progress_bar, self.begin(config))
        if config["save_images"]:
            self.points.append(Point(config, found))

    def finish(self) -> None:
        """Save images if asked for, write and print the tables of this invocation's cells, then its failures.

        Raises:
            DataError: a stored cell is damaged.
            OSError: the images could not be saved.
        """
        if self.config is None or self.session is None:
            return
        lost: MtlbenchError | OSError | None = None
        try:
            self._save_images(self.session)
        except (MtlbenchError, OSError) as error:  # the tables are written all the same
            lost = error
        refused: Sequence[DamagedCellError | OldCellError] = ()
        if self.session.wanted:
            scores, study = self.config["scores"], self.config["study"]
            found = report.rebuild(
                Outputs.of(self.config), scores["paper_batch"], self.session.wanted, scores=scores["name"]
            )
            refused = found.refused
            if not found.empty and study is None:
                found.show(scores["name"])
                if found.certified:
                    found.study(SMOOTHING, scores["name"])
            elif not found.empty:
                found.study(study, scores["name"])
            if not found.empty:
                report.show_how_to_see(found.outputs)
        report.show_failures(self.session.failed.values())
        report.refuse(refused)
        if lost is not None:
            raise lost

    def _save_images(self, session: "Session") -> None:
        if self.points:
            from mtlbench.experiment.images import save_images

            save_images(self.points, progress_bar, session)


class Train(_Computing):
    """Train a model."""

    def job(self, config: Config) -> None:
        """One point of a sweep."""
        from mtlbench.experiment.run import run_training

        checkpoint, clean_key = run_training(config, progress_bar, self.begin(config))
        console().print(f"{checkpoint.weights} is trained; its clean metrics are beside it", soft_wrap=True)
        spent = checkpoint.cost
        if spent:
            factor = f", {spent['times_clean']:g} times its clean steps alone" if spent["times_clean"] > 1 else ""
            console().print(f"training took {spent['training_seconds']:.0f} s{factor}")
        if config["training"]["name"] != "clean":
            console().print(report.accuracy_lost_text(Outputs.of(config), clean_key), soft_wrap=True)


def show(config: Config) -> None:
    """Report the whole store or one cell, or audit stored cells.

    Raises:
        UsageError: there is no such cell.
        MtlbenchError: an audited cell was not reproduced.
    """
    from mtlbench.config.build import load_plugins

    _one_of(config, EXCLUSIVE)
    load_plugins(config["plugins"])
    if config["cell"] is not None:
        _cell(config)
    elif config["audit"] is not None:
        _audit(config)
    elif config["compare"] is not None:
        _compare(config)
    elif config["merge"] is not None:
        _merge(config)
    else:
        rebuild(config)


def _one_of(config: Config, options: Sequence[str]) -> None:
    """Check that at most one of some options is given.

    Raises:
        UsageError: two are.
    """
    given = [f"{option}={config[option]}" for option in options if config[option] is not None]
    if len(given) > 1:
        raise UsageError(f"{' '.join(given)}: expected one of them; run the command once for each")
    if config["computed_by"] is not None and config["merge"] is None:
        raise UsageError(f"computed_by={config['computed_by']}: names who computed the cells of merge=FOLDER")


def _compare(config: Config) -> None:
    from mtlbench.report.compare import check, show_changes

    unwritten: list[OSError] = []
    scores = config["scores"]
    folders = check(config["compare"])
    refused = show_changes(folders, Outputs.of(config), scores["name"], scores["paper_batch"], unwritten)
    report.show_unwritten(unwritten)
    report.refuse(refused)


def _merge(config: Config) -> None:
    """Take the cells of another store in, then rebuild; a cell that was refused is named last."""
    from mtlbench.report.merge import merge

    name = config["computed_by"]
    if name is not None and not (isinstance(name, str) and name.strip() and name.isprintable()):
        raise UsageError(f"computed_by={name}: expected a name, for example 'Group A'")
    found = merge(Outputs.of(config), Path(str(config["merge"])), name)
    for line in found.lines():
        console().print(line, markup=False)
    if Outputs.of(config).store.keys():
        rebuild(config)
    found.require_good()


def _cell(config: Config) -> None:
    from mtlbench.report.cell import describe, find

    outputs = Outputs.of(config)
    store = outputs.store
    cell = find(store, str(config["cell"]))
    found = report.collect(outputs, config["scores"]["paper_batch"])
    text = describe(cell, config["scores"]["paper_batch"], found.alarms.get(cell.key), store)
    console().print(text, markup=False, soft_wrap=True, end="")


def _audit(config: Config) -> None:
    from mtlbench.experiment.audit import audit, require_good

    done = []
    for one in audit(config, config["audit"], progress_bar):
        difference = "" if one.verdict == "equal" else f" (largest relative difference {one.difference:.1e})"
        words = f"{one.key}  {one.label}: {one.verdict}{f': {one.why}' if one.why else difference}"
        console().print(words, markup=False, soft_wrap=True)
        done.append(one)
    require_good(done)


def rebuild(config: Config) -> None:
    """Rebuild the tables from the store and print all of them, or those of one study.

    In a read-only folder, such as a colleague's results, they are only printed.

    Raises:
        DataError: the store is empty, or a cell in it is damaged; the tables of the others have been written.
    """
    outputs = Outputs.of(config)
    scores, layout, unwritten = config["scores"], Layout.of(config), list[OSError]()
    found = report.rebuild(outputs, scores["paper_batch"], unwritten=unwritten, scores=scores["name"], layout=layout)
    report.show_failures(found.failures.values())
    if found.empty:
        report.refuse(found.refused)
        raise DataError(f"{outputs.store.folder}: no results yet; `mtlbench attack` makes some")
    if config["study"] is None:
        found.show(scores["name"], layout)
        if found.certified:
            found.study(SMOOTHING, scores["name"], unwritten, layout)
        found.write_page(scores["name"], unwritten)
    else:
        found.study(config["study"], scores["name"], unwritten, layout)
    report.show_unwritten(unwritten)
    report.refuse(found.refused)


def data(config: Config) -> None:
    """Generate, verify, describe or convert a dataset."""
    from mtlbench.cli import data as datasets

    actions = {
        "make": datasets.make,
        "verify": datasets.verify,
        "info": datasets.info,
        "baseline": datasets.baseline,
        "convert": datasets.convert,
    }
    if config["action"] not in list(actions):
        raise UsageError(f"action={config['action']}: expected {', '.join(actions)}")
    actions[config["action"]](config)


def bench(config: Config) -> None:
    """Time attack steps."""
    from mtlbench.cli.bench import bench as measure

    measure(config)


def layouts(config: Config) -> None:
    """Draw the sharing trees."""
    tasks, blocks = config["tasks"], config["blocks"]
    if not is_whole(tasks, 1) or tasks > 5:
        raise UsageError(f"tasks={tasks}: expected a whole number from 1 to 5")
    if not is_whole(blocks, 1) or blocks > 6:
        raise UsageError(f"blocks={blocks}: expected a whole number from 1 to 6")
    names = ("segmentation", "normals", "depth", "keypoints2d", "edge_texture")[:tasks]
    trees = all_trees(tasks, blocks)
    out = console()
    for index, tree in list(enumerate(trees))[: config["limit"]]:
        level = f"  {tree.name}" if tree.is_level else ""
        out.print(f"[bold]{index}[/bold]{level}  {tree}  ({tree.copies} blocks)", markup=True, soft_wrap=True)
        out.print(picture(tree, names), markup=False)
    if config["limit"] is not None and len(trees) > config["limit"]:
        out.print(f"{len(trees) - config['limit']} more trees; limit=null shows all {len(trees)}")


def _same_folder(before: Config | None, now: Config) -> None:
    """Check that all points of a sweep write to one outputs folder: they share the tables and the session.

    Raises:
        UsageError: a point writes to a different folder than the previous one.
    """
    if before is not None and now["outputs"] != before["outputs"]:
        raise UsageError(
            f"outputs={now['outputs']}: the points of a sweep write to one folder, here {before['outputs']}; "
            "run the command once for each"
        )


def _record_run(config: Config) -> None:
    """Versions, commit and device, beside the configuration of this run."""
    from mtlbench.config.model import choose_device

    folder = Path(config["run_dir"])
    write_atomically(folder / "provenance.json", json.dumps(provenance.record(choose_device(config)), indent=2) + "\n")


def _session(config: Config) -> "Session":
    from mtlbench.experiment.cells import with_public_names
    from mtlbench.experiment.session import Session

    adopted = Outputs.of(config).store.adopt(lambda identity: with_public_names(identity, config["plugins"]))
    if adopted:
        console(stderr=True).print(f"mtlbench: {adopted} cells of an earlier version were converted", soft_wrap=True)
    failed = dict(watchdog.given_up)
    return Session(force=config["force"], fail_fast=config.get("fail_fast", False), failed=failed)


def _nothing() -> None:
    """Do nothing after the last job."""


def command(name: str) -> Command:
    """The command called `name`."""
    if name == "attack":
        attack = Attack()
        return Command(attack.job, attack.finish)
    jobs = {"train": Train().job, "report": show, "data": data, "layouts": layouts, "bench": bench}
    return Command(jobs[name], _nothing)
