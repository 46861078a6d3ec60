"""A table on the terminal: the lines that `rich.table.Table` prints with the box SIMPLE, in a tenth of the time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod
from rich.segment import Segment
from rich.text import Text

from mtlbench.report.terminal import encodable

EDGES, GAP = 2, 3
"""Characters around a table, and between its columns."""

RULE = "\u2500"
HEADER = "table.header"
"""Style of the names of columns."""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        head: its name, of one or more lines.
        cells: of its rows.
        most: characters above which a cell is folded.
        right: whether it is aligned at the right.
    """

    head: str
    cells: Sequence[str | Text]
    most: int
    right: bool


class Grid:
    """Columns of equal length side by side; what `Console.print` takes.

    Args:
        columns: the columns.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns

    def __rich_console__(self, out: Console, options: ConsoleOptions) -> Iterator[Segment]:
        heads = [[encodable(out, line) for line in column.head.split("\n")] for column in self.columns]
        texts = [[cell if isinstance(cell, Text) else encodable(out, cell) for cell in c.cells] for c in self.columns]
        widths = [
            min(column.most, max(map(cell_len, map(str, [*head, *own])), default=0))
            for column, head, own in zip(self.columns, heads, texts, strict=True)
        ]
        whole = sum(widths) + GAP * (len(widths) - 1)
        yield Segment(f"{' ' * (whole + EDGES)}\n")
        titles = [Text("\n".join(head)) for head in heads]
        for title in titles:
            title.stylize(HEADER)
        yield from self._row(out, titles, widths, bottom=True)
        yield Segment(f" {encodable(out, RULE) * whole} \n")
        for row in zip(*texts, strict=True):
            yield from self._row(out, row, widths)
        yield Segment(f"{' ' * (whole + EDGES)}\n")

    def _row(
        self, out: Console, cells: Sequence[str | Text], widths: Sequence[int], bottom: bool = False
    ) -> Iterator[Segment]:
        """The lines of a row; of one with folded cells several."""
        aligned = list(zip(cells, widths, (column.right for column in self.columns), strict=True))
        if all(isinstance(cell, str) and cell_len(cell) <= width for cell, width, _ in aligned):
            line = (" " * GAP).join(_padded(str(cell), width, right) for cell, width, right in aligned)
            yield Segment(f" {line} \n")
            return
        folded = [_folded(out, cell, width, right) for cell, width, right in aligned]
        height = max(map(len, folded))
        if bottom:
            folded = [[*[[]] * (height - len(lines)), *lines] for lines in folded]
        for parts in zip_longest(*folded, fillvalue=list[Segment]()):
            yield Segment(" ")
            for number, (segments, width) in enumerate(zip(parts, widths, strict=True)):
                yield Segment(" " * GAP) if number else Segment("")
                yield from Segment.adjust_line_length(segments, width)
            yield Segment(" \n")


def _padded(text: str, width: int, right: bool) -> str:
    spaces = " " * (width - cell_len(text))
    return spaces + text if right else text + spaces


def _folded(out: Console, cell: str | Text, width: int, right: bool) -> list[list[Segment]]:
    """The lines of a cell."""
    justify: JustifyMethod = "right" if right else "left"
    text = Text(cell) if isinstance(cell, str) else cell
    return [list(line.render(out)) for line in text.wrap(out, width, justify=justify, overflow="fold")]
