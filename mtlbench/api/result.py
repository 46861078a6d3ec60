"""What an attack found: tidy tables, comparisons, plots; the same numbers as the files of the commands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from mtlbench.constants import SAMPLE_OF
from mtlbench.errors import DataError, UsageError
from mtlbench.metrics.sketch import sketched
from mtlbench.options import one_of
from mtlbench.probing.finding import Probe
from mtlbench.report.html import html
from mtlbench.report.layout import Layout
from mtlbench.report.panels import panels
from mtlbench.report.pivots import pivots, printed
from mtlbench.scores import arp, damage, holm, paired_difference, relative_drops, tables
from mtlbench.scores.alarms import alarms, arp_of_cells, checks_frame, numbers_of
from mtlbench.scores.converged import of_all_images, with_gains
from mtlbench.scores.frame import REPLICATES, details, metrics_frame, shared_path
from mtlbench.scores.gradient_free import with_gradient_free
from mtlbench.scores.transferability import INDEPENDENT, NO_INDEPENDENT
from mtlbench.scores.wide import block, levels
from mtlbench.storage.images import ImageSets
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell

if TYPE_CHECKING:
    from mtlbench.report.figures import Figure
    from mtlbench.report.page.pictures import Pictures

Scores = Literal["standard", "paper"]
WHAT = ("attack", "target", "step", "steps", "norm", "options", "eps")
"""Levels that name an attack."""

__all__ = ["REPLICATES", "Result", "load"]


@dataclass(frozen=True, repr=False)
class Result:
    """The outcome of `attack`.

    Attributes:
        cells: a clean one, and one for each attack, target and eps.
        scores: which score set the tables show: ``standard`` divides once, over all pixels; ``paper`` follows the
            reference implementation of arXiv 2305.12066.
        replicates: of the bootstrap.
        seed: of the bootstrap.
        baseline: of single-task models on the same images, see `with_baseline`.
        images: what `attack(save_images=...)` kept, for `panels`.
    """

    cells: Sequence[Cell]
    scores: Scores = "standard"
    replicates: int = REPLICATES
    seed: int = 0
    baseline: "Result | None" = None
    images: ImageSets | None = None

    @property
    def standard(self) -> "Result":
        """The same with standard scores."""
        return replace(self, scores="standard")

    @property
    def paper(self) -> "Result":
        """The same with the paper's scores."""
        return replace(self, scores="paper")

    @property
    def metrics(self) -> pd.DataFrame:
        """Every metric of every task, clean and attacked, and its relative drop."""
        return self._table("metrics")

    @property
    def damage(self) -> pd.DataFrame:
        """Damage of each task in percent, with its interval over the images."""
        return self._table("damage")

    @property
    def arp(self) -> pd.DataFrame:
        """ARP in percent, with its interval; ``status`` holds alarms: read it before the number."""
        return self._table("arp")

    @property
    def transferability(self) -> pd.DataFrame:
        """How far an attack on one task carries to the others; the gain where an independent model is among them."""
        table = self._table("transferability")
        if self.baseline is not None:
            both = replace(self, cells=[*self.cells, *self.baseline.cells], baseline=None).transferability
            return both[both["cell"].isin(table["cell"])].reset_index(drop=True)
        if (table["sharing"] == INDEPENDENT).any():
            return table
        lonely = table["status"] == f"gain undefined: {NO_INDEPENDENT}"
        return table.assign(status=table["status"].mask(lonely, "ok")).drop(
            columns=["gain_vs_independent", "gain_low", "gain_high"]
        )

    def with_baseline(self, independent: "Result") -> "Result":
        """The same, but transferability has its gain over single-task models: ``attack({task: model, ...}, ...)``.

        Raises:
            UsageError: the other result is not of single-task models, or saw other images.
        """
        names = {cell.identity["model"] for cell in self.cells}
        theirs = {cell.identity["model"] for cell in independent.cells}
        shared = {cell.identity["sharing"] for cell in independent.cells}
        if len(names) > 1 or len(theirs) > 1 or shared != {INDEPENDENT}:
            raise UsageError(
                "baseline: expected results of one model, and of one set of single-task models: "
                "attack({task: model, ...}, ...)"
            )
        self._same_images(independent, "baseline")
        (name,) = names  # the same one for both, by which tables and reports find the other
        cells = [replace(cell, identity={**cell.identity, "model": name}) for cell in independent.cells]
        return replace(self, baseline=replace(independent, cells=cells))

    @cached_property
    def checks(self) -> pd.DataFrame:
        """The numbers that alarms are made of, a row for each cell."""
        numbers = with_gains(checks_frame([numbers_of(cell) for cell in self.cells]), self._every)
        return with_gradient_free(numbers, lambda keys: self._metrics)

    @property
    def probe(self) -> Probe | None:
        """What was found before the attack; None where nobody asked."""
        return next((Probe.stored(c.provenance["probe"]) for c in self.cells if "probe" in c.provenance), None)

    def summary(self) -> str:
        """ARP of every attack and eps, and the transfer ratios, as text."""
        parts = ["ARP: percent of the clean metrics lost, ± half the 95 % interval over images", _shown(self._grid())]
        if len(self.transferability):
            parts += [
                "",
                "Transfer ratio: damage of another task over damage of the attacked one",
                _shown(self._sent()),
            ]
        raised = sorted(set(self.arp["status"]) - {"ok"})
        return "\n".join([*parts, *([""] if raised else []), *raised])

    def compare(self, other: "Result") -> pd.DataFrame:
        """ARP of this result less that of another one, attack by attack, paired over the images.

        Columns: those of the attack, ``arp_percent`` and ``other``, ``difference`` with its interval and p-value,
        over the images only: they say nothing of other trainings; ``p_holm``, adjusted for all tests of the table.

        Raises:
            UsageError: the other one saw other images, or images in another order, or no attack is in both.
        """
        self._same_images(other, "compare")
        mine, others = self._arps, other._arps
        where = levels(others).reset_index().set_index(list(WHAT))["index"]
        keys = levels(mine)[list(WHAT)]
        both = [tuple(row) in where.index for row in keys.itertuples(index=False)]
        if not any(both):
            raise UsageError("compare: the results have no attack in common")
        rows = [int(np.asarray(where[tuple(row)]).ravel()[0]) for row in keys[both].itertuples(index=False)]
        found = paired_difference(mine[both], others.iloc[rows]).reset_index(drop=True)
        values = {"arp_percent": block(mine[both])[:, 0], "other": block(others.iloc[rows])[:, 0]}
        table = keys[both].drop(columns="options").reset_index(drop=True).assign(**values)
        table = table.join(found.drop(columns="seeds_needed").rename(columns={"diff": "difference"}))
        table = table.assign(p_holm=holm(table["p_value"]), over="images only")
        return table.sort_values(["attack", "step", "steps", "norm", "target", "eps"], ignore_index=True)

    def plot(self, kind: Literal["arp", "damage", "transfer"] = "arp") -> "Figure":
        """A figure: ARP of every attack, damage of every task, or how far an attack on one task carries to the others.

        A notebook shows it; ``.save("arp.pdf")`` writes it as PDF, SVG or PNG; ``.chart`` is the Altair chart.

        Raises:
            UsageError: there is nothing to draw: no attack, or for ``transfer`` none on a single task.
        """
        from mtlbench.report.figures import figure, general  # Altair takes a second to import

        one_of(kind, "kind", list(general.ALONE))
        table, plot = general.ALONE[kind]
        found = figure(plot(self._table(table)), self.scores)
        if found is None:
            raise UsageError(f"plot: nothing to draw in {kind}: its table has no number, or only undefined ones")
        return found

    def panels(self) -> "Pictures":
        """What the attacks did to single images: perturbation, predictions and errors before and after.

        A notebook shows them; ``.save("panels.html")`` writes them as a page.

        Raises:
            UsageError: no images were kept.
        """
        from mtlbench.report.page.pictures import Pictures  # draws

        if self.images is None:
            raise UsageError("panels: no images were kept; expected a result of attack(..., save_images=8)")
        cells = {cell.key: cell.identity for cell in self.cells if SAMPLE_OF not in cell.identity}
        return Pictures(panels(self.images, cells))

    def save(self, folder: str | Path) -> Path:
        """Write the cells and kept images, those of the baseline too, to an outputs folder of the commands.

        `mtlbench report outputs=FOLDER` shows them.

        Raises:
            DataError: other numbers of the same model, images and attack are there already; name the model otherwise.
        """
        outputs = Outputs(Path(folder))
        store, results = outputs.store, [self, *(() if self.baseline is None else (self.baseline,))]
        cells = [cell for result in results for cell in result.cells]
        for cell in cells:
            if cell.key in store and not _same(store.load(cell.key), cell):
                raise DataError(
                    f"{store.path(cell.key)}: holds other numbers of the same model, images and attack; if the model "
                    "differs in more than its weights, give it a name: attack(..., name=...)"
                )
        for cell in cells:
            if cell.key not in store:
                store.save(cell)
        for result in results:
            if result.images is not None:
                outputs.images.add(result.images)
        return Path(folder)

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        """For notebooks: the tables that a report prints, with what is wrong below each."""
        paths = {cell.key: path for cell in self.cells if (path := shared_path(cell)) is not None}
        return "".join(map(html, printed(pivots(self._tables, self.scores, paths=paths), Layout())))

    def _same_images(self, other: "Result", where: str) -> None:
        cells = [cell for cell in (*self.cells, *other.cells) if SAMPLE_OF not in cell.identity]
        if len({cell.identity["fingerprint"] for cell in cells}) > 1:
            raise UsageError(
                f"{where}: the results are not of the same images in the same order (or their tasks differ); "
                "does the loader shuffle, or can it be read only once?"
            )

    @cached_property
    def _metrics(self) -> pd.DataFrame:
        return of_all_images(self._every)

    @cached_property
    def _every(self) -> pd.DataFrame:
        """Wide, the cells of convergence checks included."""
        return metrics_frame(self.cells, replicates=self.replicates, seed=self.seed)

    @cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        raised = alarms(self.checks, arp_of_cells(self._metrics))
        return tables(self._metrics, raised, {cell.key: details(cell) for cell in self.cells})

    @cached_property
    def _arps(self) -> pd.DataFrame:
        """Wide, of the score set, with replicates."""
        own = self._metrics[self._metrics.index.get_level_values("scores") == self.scores]
        return arp(damage(relative_drops(own)))

    def _table(self, name: str) -> pd.DataFrame:
        table = self._tables[name]
        return table[table["scores"] == self.scores].reset_index(drop=True)

    def _grid(self) -> pd.DataFrame:
        """Attack x eps -> text."""
        table = self.arp
        half = (table["ci_high"] - table["ci_low"]) / 2
        text = [f"{value:.1f} ± {width:.1f}" for value, width in zip(table["arp_percent"], half, strict=True)]
        name = table["attack"].where(table["target"] == "all", table["attack"] + ":" + table["target"])
        model = table["model"] + " " + table["sharing"]
        shown = pd.DataFrame(
            {"model": model, "attack": name, "step": table["step"], "eps": table["eps"], "text": text}
        )
        return shown.pivot_table(
            index=["model", "attack", "step"], columns="eps", values="text", aggfunc="first", sort=False
        )

    def _sent(self) -> pd.DataFrame:
        """Source and destination x eps -> transfer ratio."""
        table = self.transferability.assign(model=lambda t: t["model"] + " " + t["sharing"])
        index = ["model", "step", "source", "destination"]
        return table.pivot_table(index=index, columns="eps", values="ratio", aggfunc="first", sort=False).round(2)


def load(folder: str | Path) -> Result:
    """The results in an outputs folder, whether commands or `Result.save` wrote them.

    Raises:
        DataError: there are none, or one is damaged.
    """
    outputs = Outputs(Path(folder))
    store = outputs.store
    refused: list[Exception] = []
    cells = list(store.readable(refused.append))
    if refused:
        raise DataError(f"{folder}: {refused[0]}")
    if not cells:
        raise DataError(f"{store.folder}: no results; expected an outputs folder, which holds store/*.npz")
    return Result(cells, images=outputs.images if outputs.images.sets() else None)


def _same(one: Cell, other: Cell) -> bool:
    stored, new = sketched(one.arrays), sketched(other.arrays)
    return stored.keys() == new.keys() and all(
        np.allclose(stored[name], new[name], rtol=1e-3, equal_nan=True) for name in stored
    )


def _shown(frame: pd.DataFrame) -> str:
    return frame.reset_index().to_string(index=False)
