"""The same bytes each time, files that are drawn once, and names that are only text."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from mtlbench.errors import UsageError
from mtlbench.report.figures import Figure, drawing, figures
from mtlbench.report.figures.look import INK
from tests.report.figures.tables import tables

HOSTILE = (
    *("</script><img src=x onerror=alert(1)>", "</title></svg><script>alert(1)</script>", "{{ 7 * 7 }} $x$ & _ %"),
    *("\"quotes\" 'and' url(#clip0)", "nul\x00 escape\x1b[31m", "datum.x == 1"),
)

TAGS = {"svg", "g", "path", "line", "text", "tspan", "title"}


def few(**options: Any) -> dict[str, pd.DataFrame]:
    """Tables of few numbers, which are drawn quickly."""
    return tables(["dgba"], ["a", "b"], **options)


@pytest.fixture(scope="module")
def some() -> list[Figure]:
    """A line chart, dots and a matrix."""
    return figures(few(), "standard")[:3]


def test_the_same_numbers_give_the_same_bytes_in_any_order(some: list[Figure]) -> None:
    first = {figure.name: figure.svg() for figure in some}
    again = figures(few(), "standard")[:3]
    assert {figure.name: figure.svg() for figure in reversed(again)} == first
    assert drawing.png(again[2].spec) == drawing.png(some[2].spec)


def test_ids_begin_with_the_name_of_the_figure() -> None:
    root = ET.fromstring(
        '<svg xmlns="http://www.w3.org/2000/svg"><g id="gradient_7"/><g id="clip3"/>'
        '<path fill="url(#gradient_7)"/><path clip-path="url(#clip3)"/><use href="#clip3"/></svg>'
    )
    drawing._name_ids(root, "arp")
    found = ET.tostring(root, encoding="unicode")
    assert re.findall(r'id="([^"]*)"', found) == ["arp-0", "arp-1"]
    assert re.findall(r'#([^")]*)', found) == ["arp-0", "arp-1", "arp-1"]


def test_an_svg_takes_the_colour_of_the_page_and_holds_no_style_or_script(some: list[Figure]) -> None:
    for figure in some:
        root = ET.fromstring(figure.svg())
        assert {element.tag.rpartition("}")[2] for element in root.iter()} <= TAGS
        values = {(name, value) for element in root.iter() for name, value in element.attrib.items()}
        assert not [name for name, _ in values if name == "style" or name.startswith("on")]
        assert not [value for name, value in values if name in ("fill", "stroke") and value in (INK, "#000", "white")]
        assert ("fill", "currentColor") in values
        assert root.get("role") == "img"
        assert root.get("aria-label") == f"{figure.title}. {figure.description}"


def test_hostile_names_are_text(tmp_path: Path) -> None:
    arp, _, matrix = figures(tables(HOSTILE, sharings=HOSTILE[:2], eps=[8.0]), "standard")[:3]
    root = ET.fromstring(arp.draw(tmp_path))
    assert {*HOSTILE[:4], "nul  escape [31m", HOSTILE[5]} <= {element.text for element in root.iter()}
    for picture in (arp.svg(), matrix.svg(), arp.html()):
        assert not re.search("<(script|img|image)", picture)


def test_files_are_drawn_once(some: list[Figure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = some[0]
    picture = figure.draw(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arp.pdf", "arp.png", "arp.svg"]
    assert (tmp_path / "arp.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "arp.png").read_bytes().startswith(b"\x89PNG")
    with monkeypatch.context() as patched:
        patched.setattr(drawing, "content", None)
        assert figure.draw(tmp_path) == picture
    other = figures(few(eps=[2.0, 4.0]), "standard")[0]
    assert other.draw(tmp_path) != picture
    (tmp_path / "arp.pdf").unlink()
    other.draw(tmp_path)
    assert (tmp_path / "arp.pdf").is_file()


def test_a_figure_is_saved_by_the_ending_of_its_name(some: list[Figure], tmp_path: Path) -> None:
    some[0].save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == some[0].svg()
    with pytest.raises(UsageError, match=r"ends with \.svg, \.pdf or \.png, not \.jpg"):
        some[0].save(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="not without any"):
        some[0].save(tmp_path / "a")


def test_pandas_is_not_asked_for_the_values(some: list[Figure]) -> None:
    """Altair turns frames into values with a library of its own; plain lists need none."""
    assert isinstance(some[0].spec["data"]["values"], list)


def test_another_process_draws_the_same(some: list[Figure], tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mtlbench.report.figures import figures;"
        "from tests.report.figures.test_drawing import few;"
        "found = figures(few(), 'standard'); [figure.draw(Path(sys.argv[1])) for figure in (found[2], found[0])]"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    assert (tmp_path / "arp.svg").read_text() == some[0].svg()
    assert (tmp_path / "arp.png").read_bytes() == drawing.png(some[0].spec)
