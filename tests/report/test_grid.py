"""A table on the terminal has the lines of rich's own, which takes 25 times as long."""

import io

import pytest
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtlbench.report.grid import Column, Grid

HEADS = ("name", "first\nsecond", "漢字")
CELLS = (("plain", "two words", "x" * 30), ("1.0", "-22.5 ±3", "漢字 and more of it"), ("", "a" * 11, "b c d e f g h"))


def grid(widths: tuple[int, ...]) -> Grid:
    named = enumerate(zip(HEADS, CELLS, widths, strict=True))
    return Grid([Column(head, list(texts), width, number > 0) for number, (head, texts, width) in named])


def table(widths: tuple[int, ...]) -> Table:
    made = Table(box=SIMPLE, pad_edge=False)
    for number, (head, width) in enumerate(zip(HEADS, widths, strict=True)):
        made.add_column(head, justify="right" if number else "left", overflow="fold", max_width=width)
    for row in zip(*CELLS, strict=True):
        made.add_row(*row)
    return made


def printed(what: object, **options) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200, highlight=False, markup=False, **options).print(what)
    return stream.getvalue()


@pytest.mark.parametrize("widths", [(40, 40, 40), (8, 40, 40), (8, 8, 8), (40, 8, 9)])
def test_the_lines_are_those_of_rich(widths: tuple[int, ...]) -> None:
    assert printed(grid(widths)) == printed(table(widths))


def test_heads_are_bold_on_a_terminal() -> None:
    found = Text.from_ansi(printed(grid((40, 40, 40)), force_terminal=True, color_system="standard").split("\n")[2])
    bold = {found.plain[span.start : span.end].strip() for span in found.spans if "bold" in str(span.style)}
    assert {"name", "second", "漢字"} <= bold
