"""A pivot as text, for terminals of at least 60 columns and for logs; nothing is cut.

Columns that do not fit beside each other follow below, with the names of the rows again. Long names are folded; if
that is not enough, all names of a row share one column.
"""

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from mtlbench.report.grid import EDGES, GAP, Column, Grid
from mtlbench.report.pivot import BEST, SECOND, Entry, Pivot
from mtlbench.report.terminal import encodable, show_remarks

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
    columns = [[_cell(out, row[number]) for row in pivot.entries] for number in range(len(heads))]
    most = out.width - EDGES - GAP - NARROWEST
    widths = [
        min(_widest(out, [*head.split("\n"), *column]), most) for head, column in zip(heads, columns, strict=True)
    ]
    names = _Names(out, pivot, out.width - EDGES - GAP - max(widths, default=0))
    room = out.width - EDGES - sum(names.widths) - GAP * (len(names.widths) - 1)
    labels = [list(column) for column in zip(*names.rows, strict=True)]
    for block in _blocks(widths, room):
        own = [
            *map(Column, names.heads, labels, names.widths, [name in NUMBERS for name in names.heads]),
            *(Column(heads[number], columns[number], widths[number], True) for number in block),
        ]
        out.print(Grid(own), soft_wrap=True)
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


def _widest(out: Console, texts: Iterable[str | Text]) -> int:
    """Characters of the longest text, as the console shows it."""
    return max((cell_len(encodable(out, str(text))) for text in texts), default=0)


def _cell(out: Console, entry: Entry | None) -> str | Text:
    """What stands in a cell; a text with styles only where there are some."""
    if entry is None or entry.place not in STYLES:
        return "" if entry is None else entry.plain
    text = Text(encodable(out, entry.plain))
    text.stylize(STYLES[entry.place], 0, len(entry.text))
    return text
