"""What a log says of the progress of long work."""

import itertools

import pytest

from mtlbench.report import terminal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds pass between two looks at the time."""
    seconds = itertools.count(0, 10)
    monkeypatch.setattr("time.monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr("time.strftime", lambda form: "12:00:00")


def test_lines_of_a_log(clock: None, capsys: pytest.CaptureFixture[str]) -> None:
    """How long it still takes is known once something is done, since this process began."""
    with terminal.progress_bar("attack") as progress:
        progress(2, 8, "images, no attack")
        progress(2, 8, "images, dgba")
        progress(4, 8, "images, 2 cells at once")
        progress(8, 8, "images, 2 cells at once")
    assert capsys.readouterr().err.splitlines() == [
        "12:00:00 attack: 2/8 (25 %)  images, no attack",
        "12:00:00 attack: 2/8 (25 %)  images, dgba",
        "12:00:00 attack: 4/8 (50 %), 40 s left  images, 2 cells at once",
        "12:00:00 attack: 8/8 (100 %), 0 s left  images, 2 cells at once",
    ]


def test_a_total_that_is_not_known(clock: None, capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress_bar("read") as progress:
        progress(3, 0, "")
    assert capsys.readouterr().err == "12:00:00 read: 3\n"
