"""Pivots on a terminal: nothing is lost at any width, and plain text where it is asked for."""

import io
import re

import pytest
from rich.console import Console

from mtlbench.report.pivot import Pivot
from mtlbench.report.terminal import console
from mtlbench.report.text import show
from tests.report.pivots import TABLE, entry, of

WIDTHS = (60, 61, 80, 120, 1000)


def shown(pivot: Pivot, width: int, **options) -> str:
    stream = io.StringIO()
    show(Console(file=stream, width=width, highlight=False, markup=False, **options), pivot)
    return stream.getvalue()


def wide(rows: int, columns: int, names: int) -> Pivot:
    """A pivot of many long names, with a number of its own for every entry."""
    entries = tuple(
        tuple(entry(1000.0 + row * columns + column, "10.5") for column in range(columns)) for row in range(rows)
    )
    return Pivot(
        "wide",
        "Wide",
        (),
        tuple(f"name_{n}" for n in range(names)),
        tuple(tuple(f"row{row}_of_some_length_{n}" for n in range(names)) for row in range(rows)),
        ("task", "eps"),
        tuple((f"task_of_a_long_name_{column}", f"eps {column}") for column in range(columns)),
        entries,
        (),
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("names", [1, 2, 4, 8])
def test_nothing_is_cut(width: int, names: int) -> None:
    text = shown(wide(3, 5, names), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert sorted(re.findall(r"\d+\.0 ±10\.5", text)) == [f"{1000 + n}.0 ±10.5" for n in range(15)]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_name_is_whole_in_every_block(width: int) -> None:
    text = shown(wide(1, 5, 4), width)
    assert len(re.findall(r"eps \d", text)) == 5
    assert len(re.findall(r"row0_of", "".join(text.split()))) == 4 * len(re.findall(r"(?m)^ ─+ *$", text))


def test_best_is_bold_and_second_underlined_on_a_terminal() -> None:
    text = shown(TABLE, 120, force_terminal=True, color_system="standard", no_color=False)
    assert "\x1b[1m184.5\x1b[0m ±12.0" in text
    assert "\x1b[4m9.9\x1b[0m ±4.0" in text


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_plain_text_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, variable: tuple[str, str]) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", styled := Terminal())
    show(console(), TABLE)
    monkeypatch.setattr("sys.stdout", plain := Terminal())
    monkeypatch.setenv(*variable)
    show(console(), TABLE)
    assert "\x1b[1m184.5\x1b[0m" in styled.getvalue()
    assert "\x1b" not in plain.getvalue()


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    show(console(), TABLE)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert " independent   total    42.0 ±0.5   -3.0 ±1.0 !         2.0 " in text


def test_what_has_no_rows_says_so() -> None:
    empty = Pivot("arp", "ARP", (), ("attack",), (), ("eps",), (), (), ())
    assert "nothing to show" in shown(empty, 80)


def test_names_of_brackets_are_printed_as_they_are() -> None:
    assert " [bold]x[/bold] " in shown(of(entry(1.0), name="[bold]x[/bold]"), 80)
