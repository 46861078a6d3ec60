"""A pivot as text, for terminals of at least 60 columns and for logs; nothing is cut.

Columns that do not fit beside each other follow below, with the names of the rows again. Long names are folded; if
that is not enough, all names of a row share one column.
"""

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtlbench.report.pivot import BEST, SECOND, Entry, Pivot
from mtlbench.report.terminal import show_remarks

EDGES, GAP = 2, 3
"""Characters around a table, and between its columns."""

NARROWEST = 8
"""Characters that a name is never folded below."""

NUMBERS = ("eps", "alpha")
"""Names of rows that are aligned as numbers."""

STYLES = {BEST: "bold", SECOND: "underline"}


def show(out: Console, pivot: Pivot) -> None:
    """Print title, table, what all results share, and remarks."""
    out.print(f"\n{pivot.title}", markup=False)
    if not pivot.rows:
        out.print("nothing to show: some of the cells that it compares are missing")
        return
    heads = ["\n".join(labels) for labels in pivot.columns]
    texts = [[_plain(row[number]) for row in pivot.entries] for number in range(len(heads))]
    most = out.width - EDGES - GAP - NARROWEST
    widths = [min(_widest(out, [*head.split("\n"), *column]), most) for head, column in zip(heads, texts, strict=True)]
    names = _Names(out, pivot, out.width - EDGES - GAP - max(widths, default=0))
    room = out.width - EDGES - sum(names.widths) - GAP * (len(names.widths) - 1)
    for block in _blocks(widths, room):
        table = Table(box=SIMPLE, pad_edge=False)
        for name, width in zip(names.heads, names.widths, strict=True):
            table.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold", max_width=width)
        for number in block:
            table.add_column(heads[number], justify="right", overflow="fold", max_width=widths[number])
        for labels, entries in zip(names.rows, pivot.entries, strict=True):
            table.add_row(*labels, *(_rendered(out, entries[number]) for number in block))
        out.print(table)
    if pivot.constants:
        out.print(pivot.shared, markup=False)
    show_remarks(out, pivot.remarks)


class _Names:
    """Names of the rows that leave room for the widest column.

    Attributes:
        heads: of their columns.
        rows: the labels of each row.
        widths: at which they are folded, characters.
    """

    def __init__(self, out: Console, pivot: Pivot, room: int) -> None:
        self.heads, self.rows = pivot.row_names, pivot.rows
        widths = [_widest(out, column) for column in zip(self.heads, *self.rows, strict=True)]
        room -= GAP * (len(widths) - 1)
        least = [min(width, NARROWEST) for width in widths]
        if sum(least) > room:
            self.heads = (", ".join(self.heads),)
            self.rows = tuple((", ".join(filter(None, labels)),) for labels in self.rows)
            room += GAP * (len(widths) - 1)
            widths, least = [_widest(out, column) for column in zip(self.heads, *self.rows, strict=True)], [0]
        while sum(widths) > room and widths != least:
            widest = max(range(len(widths)), key=lambda n: widths[n] - least[n])
            widths[widest] -= 1
        self.widths = widths


def _blocks(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """The numbers of the columns, in blocks that fit beside the names of the rows."""
    block: list[int] = []
    used = 0
    for number, width in enumerate(widths):
        if block and used + GAP + width > room:
            yield block
            block, used = [], 0
        block.append(number)
        used += GAP + width
    yield block


def _widest(out: Console, texts: Sequence[str]) -> int:
    """Characters of the longest text, as the console shows it."""
    return max((cell_len(out.render_str(text).plain) for text in texts), default=0)


def _plain(entry: Entry | None) -> str:
    return "" if entry is None else entry.plain


def _rendered(out: Console, entry: Entry | None) -> Text:
    text = out.render_str(_plain(entry))
    if entry is not None and entry.place in STYLES:
        text.stylize(STYLES[entry.place], 0, len(entry.text))
    return text
