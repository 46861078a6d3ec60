"""Pages in a browser that may do nothing but show themselves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mtlbench import report
from tests.report.page import cells


@dataclass
class Opened:
    """A page in the browser.

    Attributes:
        page: of Playwright.
        said: console messages and uncaught errors.
        asked: addresses that it asked for, beside itself and what it holds.
    """

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Open a file; further arguments are those of Playwright's contexts."""
    contexts = []

    def open_(path: Path, **options: Any) -> Opened:
        context = browser.new_context(**options)
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        own = path.as_uri()
        found.page.on(
            "request",
            lambda request: None if request.url.startswith((own, "data:")) else found.asked.append(request.url),
        )
        found.page.goto(own)
        return found

    yield open_
    for context in contexts:
        context.close()


def write(folder: Path, *made: Any, plots: bool = False) -> Path:
    """The page of an outputs folder that holds these cells; plots take most of the time."""
    outputs = cells.outputs(folder, *made)
    with pytest.MonkeyPatch.context() as patched:
        if not plots:
            patched.setattr("mtlbench.report.page.write.figures", lambda *_: [])
        report.rebuild(outputs, 16).write_page("standard")
    return folder / "report.html"


@pytest.fixture(scope="session")
def study_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small study."""
    return write(tmp_path_factory.mktemp("study"), *cells.study(), plots=True)


HOSTILE = (
    *("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "{{ 7 * 7 }} %}"),
    *("a_b & 50 % 'x' \"y\"", "<svg onload=alert(1)>", "javascript:alert(1)"),
)


@pytest.fixture(scope="session")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of names that would do something if they were not text."""
    names: dict[str, Any] = dict(zip(("model", "dataset", "training", "sharing"), HOSTILE, strict=False))
    tasks = (HOSTILE[0], HOSTILE[4], "depth")
    attack: dict[str, Any] = {
        "attack": HOSTILE[5],
        "objective": {"name": HOSTILE[1]},
        "target": HOSTILE[2],
        "step": HOSTILE[3],
    }
    made = [
        cells.clean(tasks, **names),
        cells.cell(0.5, tasks, **names, **attack),
        cells.single("depth", 1, 0.5, tasks, **names),
    ]
    return write(tmp_path_factory.mktemp("hostile"), *made, plots=True)
