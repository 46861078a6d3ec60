"""What a user asks of the printed tables: ``mtlbench report report.rows=[...] report.where="..."``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtlbench.errors import UsageError
from mtlbench.options import flag, near, one_of, shown
from mtlbench.report.pivot import INTERVALS, Interval
from mtlbench.report.where import EXAMPLE, Where

TABLES = ("arp", "arp_capped", "damage", "transferability", "normalised_transfer", "metrics")
"""Names of the printed tables, see `report.pivots.KINDS`."""


@dataclass(frozen=True)
class Layout:
    """Rows, columns and selection of the printed tables.

    Attributes:
        rows: columns that name a row; empty takes those that vary.
        columns: columns that name a column of the table; empty takes those of each table.
        where: which results are shown; None for all.
        tables: names of the tables on the terminal; empty takes the usual ones.
        interval: ``half`` for ± half of the interval, ``bounds`` for both of its bounds.
        caption: whether a LaTeX file is a table with a caption; otherwise it is the tabular alone.
    """

    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    where: Where | None = None
    tables: tuple[str, ...] = ()
    interval: Interval = "half"
    caption: bool = True

    @staticmethod
    def of(config: Mapping[str, Any]) -> "Layout":
        """The layout of the options ``report`` of a configuration.

        Raises:
            UsageError: one is wrong.
        """
        options = config["report"]
        if not isinstance(options, Mapping):
            raise UsageError(f"report={shown(options)}: expected options, such as report.rows=[sharing,attack]")
        rows, columns, tables = (_names(options[name], f"report.{name}") for name in ("rows", "columns", "tables"))
        for name in set(rows) & set(columns):
            raise UsageError(f"report.columns={shown(list(columns))}: {name} is one of report.rows already")
        for name in tables:
            one_of(name, "report.tables", TABLES)
        where = options["where"]
        if where is not None and not isinstance(where, str):
            raise UsageError(f"report.where={where}: expected a condition, as in {EXAMPLE}")
        one_of(options["interval"], "report.interval", INTERVALS)
        return Layout(
            rows,
            columns,
            None if where is None else Where.parse(where),
            tables,
            options["interval"],
            flag(options["caption"], "report.caption"),
        )

    @property
    def text(self) -> str:
        """All of it as text."""
        where = self.where.text if self.where else None
        return json.dumps([self.rows, self.columns, where, self.tables, self.interval, self.caption])

    @property
    def placed(self) -> set[str]:
        """The columns that the user named as rows or columns."""
        return {*self.rows, *self.columns}

    @property
    def selecting(self) -> frozenset[str]:
        """The columns of the condition."""
        return self.where.columns if self.where else frozenset()

    @property
    def names(self) -> list[str]:
        """All of these columns, sorted."""
        return sorted(self.placed | self.selecting)

    def error(self, naming: Sequence[str], every: Sequence[str]) -> UsageError:
        """The error for a layout that fits no table.

        Args:
            naming: the columns of all tables that may be rows or columns.
            every: all columns, which a condition may compare.
        """
        checked = {"rows": (self.rows, naming), "columns": (self.columns, naming), "where": (self.selecting, every)}
        for option, (names, known) in checked.items():
            for name in sorted(set(names) - set(known)):
                hint = f"{near(name, known)}; there are {', '.join(known)}"
                return UsageError(f"report.{option}: no result is told apart by a column {name}{hint}")
        return UsageError(f"report: no table has all of the columns {', '.join(self.names)}")


def _names(value: object, option: str) -> tuple[str, ...]:
    """The names in a list without duplicates; none for null."""
    if value is None:
        return ()
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise UsageError(f"{option}={shown(value)}: expected different names, such as [sharing,attack], or null")
    return tuple(names)
