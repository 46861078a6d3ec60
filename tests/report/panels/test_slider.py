"""The slider of a panel, in the machine's Chromium, under a policy that allows nothing but what the page carries."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mtlbench.report import panels
from mtlbench.report.page.pictures import Pictures
from mtlbench.storage.outputs import Outputs
from tests.report.panels.saved import gallery, write

PIECES = Path(panels.__file__).parents[1] / "page"


def page(outputs: Path) -> str:
    """Two panels, each under its own policy: styles and scripts by their hashes, pictures inside of the page."""
    write(Outputs(outputs), {"weak": 2.0, "strong": 3.0})
    css, js = ((PIECES / name).read_text() for name in ("panels.css", "panels.js"))
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, js)]
    policy = "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'".format(*hashes)
    shown = "".join(panel.html for panel in gallery(Outputs(outputs), "weak", "strong").panels)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{css}</style>'
        f"<main>{shown}</main><script>{js}</script></html>"
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("panels")
    (folder / "page.html").write_text(page(folder / "outputs"))
    return folder / "page.html"


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Any]:
    """On a phone; whatever the page complains of fails the test."""
    said: list[str] = []
    shown = browser.new_page(viewport={"width": 390, "height": 700})
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto(file.as_uri())
    yield shown
    shown.close()
    assert said == []


def cut(page: Any) -> str:
    """What is left of the clean picture over the first attacked one."""
    return page.locator(".panel-before").first.evaluate("image => getComputedStyle(image).clipPath")


def test_keys_move_the_cut(opened: Any) -> None:
    slider = opened.get_by_role("slider").first
    slider.focus()
    found = [cut(opened)]
    for key in ("Home", "ArrowRight", "End"):
        opened.keyboard.press(key)
        found.append(cut(opened))
    assert found == [f"inset(0px 0px 0px {share}%)" for share in (100, 0, 1, 100)]


def test_the_slider_has_a_name_and_says_its_value(opened: Any) -> None:
    slider = opened.get_by_role("slider", name="before and after").first
    slider.fill("40")
    assert slider.get_attribute("aria-valuetext") == "40 % attacked, the rest clean"


def test_a_slider_moves_its_own_panel_only(opened: Any) -> None:
    opened.get_by_role("slider").first.fill("40")
    styles = opened.locator("figure.panel").evaluate_all("all => all.map(one => one.style.cssText)")
    assert styles == ["--panel-cut: 40%;", "--panel-cut: 100%;", "--panel-cut: 100%;"]


def test_the_clean_picture_lies_over_the_attacked_one(opened: Any) -> None:
    same = opened.locator(".panel-before").evaluate_all(
        "all => all.every(one => { const a = one.getBoundingClientRect(), b = one.previousElementSibling"
        ".getBoundingClientRect(); return a.width && a.width == b.width && a.height == b.height && a.x == b.x })"
    )
    assert same


def test_the_page_is_not_wider_than_a_phone(opened: Any) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_the_attacked_pictures_are_shown_and_no_slider(browser: Any, file: Path) -> None:
    shown = browser.new_page(java_script_enabled=False)
    shown.goto(file.as_uri())
    visible = shown.get_by_alt_text("attacked image").first.is_visible(), shown.locator("input").first.is_visible()
    shown.close()
    assert visible == (True, False)


def test_it_works_in_the_frame_of_a_notebook(browser: Any, tmp_path: Path) -> None:
    """The frame's page is under its own policy, also where it has no address."""
    write(Outputs(tmp_path / "outputs"), {"weak": 2.0, "strong": 3.0})
    frame = Pictures(gallery(Outputs(tmp_path / "outputs"), "weak", "strong"))._repr_html_()
    (tmp_path / "notebook.html").write_text(
        f'<!doctype html><html lang="en"><title>t</title><main>{frame}</main></html>'
    )
    said: list[str] = []
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "notebook.html").as_uri())
    inside = page.frame_locator("iframe")
    inside.get_by_role("slider").first.focus()
    before = cut(inside)
    page.keyboard.press("Home")
    assert cut(inside) != before
    page.close()
    assert said == []
