"""Charts in a page under a strict policy: arrow keys walk the marks, a live region tells them."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mtlbench.report import figures as package
from mtlbench.report.figures import figures
from tests.report.figures.tables import tables

PIECES = Path(package.__file__).parents[1] / "page"


def page(script: str, style: str) -> str:
    allowed = " ".join(f"{kind}-src '{digest(text)}';" for kind, text in (("script", script), ("style", style)))
    made = figures({"arp": tables(["dgba"], ["a", "b"])["arp"]}, "standard")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>charts</title>'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; {allowed}">'
        f"<style>{style}</style><main>{made[0].html()}</main><script>{script}</script></html>"
    )


def digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    """The page, and what it complained of."""
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(page((PIECES / "charts.js").read_text(), (PIECES / "charts.css").read_text()))
    said: list[str] = []
    shown = browser.new_page(viewport={"width": 390, "height": 700})
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto(file.as_uri())
    return shown, said


def test_arrow_keys_walk_the_marks(opened: tuple[Any, list[str]]) -> None:
    shown, said = opened
    titles = shown.eval_on_selector_all(".mark title", "every => every.map(title => title.textContent)")
    region = shown.get_by_role("status")
    shown.keyboard.press("Tab")
    assert region.text_content() == f"Arrow keys walk the {len(titles)} values."
    heard = []
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "End", "ArrowRight", "Home", "ArrowUp", "Escape"):
        shown.keyboard.press(key)
        heard.append(region.text_content())
    last = titles[-1]
    assert heard == [titles[0], titles[1], titles[0], last, last, titles[0], titles[0], ""]
    assert said == []


def test_a_pointer_tells_the_mark(opened: tuple[Any, list[str]]) -> None:
    shown, _ = opened
    mark = shown.locator(".mark").last  # on top of the others
    mark.hover(force=True)
    assert shown.get_by_role("status").text_content() == mark.locator("title").text_content()
    assert shown.locator(".mark.on").count() == 1


def test_the_page_does_not_become_wider_than_a_phone(opened: tuple[Any, list[str]]) -> None:
    shown, _ = opened
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
