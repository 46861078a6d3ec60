"""The text of outputs/report.html: what it says, what must not stand in it, and pages of odd stores."""

import ast
import getpass
import inspect
import math
import re
import socket
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mtlbench.report.page.alarms import MEANINGS
from mtlbench.report.page.grid import MOST_ROWS, grid
from mtlbench.scores import alarms
from mtlbench.storage.store import Cell
from tests.report.page import cells
from tests.report.page.conftest import HOSTILE, write

CSV = re.compile(r"(tables|plots)/[\w.]+")


class Read(HTMLParser):
    """Tags, attributes and texts of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.texts))


def test_it_says_which_attack_is_strongest(study_page: Path) -> None:
    assert re.search(
        r"At eps 8 the strongest stored attack is dgba on 2 of 2 models: ARP [\d.]+ % \[[\d.]+, [\d.]+\] \(\w+\)",
        Read(study_page).text,
    )


def test_it_says_against_which_baselines_dgba_is_above(study_page: Path) -> None:
    assert re.search(r"At eps 8 dgba is above .* and total in 2 of 2", Read(study_page).text)


def test_it_says_where_the_interval_holds_0(study_page: Path) -> None:
    said = Read(study_page).text.partition("What it does not show")[2]
    assert re.search(r"At eps 8 the images do not tell dgba apart from single:depth in 1 of 2", said)


def test_it_says_whether_transfer_grows(study_page: Path) -> None:
    assert "ratio of all_shared models is higher in 3 of 3 attacked tasks" in Read(study_page).text


def test_links_lead_to_files_beside_it_or_into_it(study_page: Path) -> None:
    links = [value for name, value in Read(study_page).attributes if name in ("href", "src", "data", "action")]
    wrong = [link for link in links if not link.startswith(("#", "data:")) and not CSV.fullmatch(link)]
    assert wrong == []


def test_linked_files_are_there(study_page: Path) -> None:
    links = {value for name, value in Read(study_page).attributes if name == "href" and CSV.fullmatch(value)}
    assert {link for link in links if not (study_page.parent / link).is_file()} == set()


def test_no_place_or_person_stands_in_it(study_page: Path) -> None:
    text = study_page.read_text(encoding="utf-8")
    private = [str(study_page.parent), str(Path.home()), "/home/", "hostname-of-somebody", "somebody"]
    private += [name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 4]
    assert [name for name in private if name in text] == []


def test_the_same_results_give_the_same_page(tmp_path: Path) -> None:
    made = [cells.clean(), cells.cell(0.5), cells.single("depth", 0.4, 0.5), cells.cell(0.3, eps=4.0)]
    one, other = (write(tmp_path / name, *order) for name, order in (("a", made), ("b", made[::-1])))
    assert one.read_bytes() == other.read_bytes()


def test_names_make_no_element(hostile_page: Path, study_page: Path) -> None:
    assert set(Read(hostile_page).tags) <= {*Read(study_page).tags, "tspan"}  # long names in plots are wrapped


def test_names_make_no_attribute(hostile_page: Path) -> None:
    assert [value for name, value in Read(hostile_page).attributes if name.startswith("on")] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(name: str, hostile_page: Path) -> None:
    assert name in Read(hostile_page).text


def nothing_but_clean() -> list[Cell]:
    return [cells.clean()]


def without_clean() -> list[Cell]:
    return [cells.cell(0.5)]


def undefined_ratios() -> list[Cell]:
    return [cells.clean(), cells.single("depth", 0.0, 0.0), cells.single("normals", 0.3, 0.1)]


def not_a_number() -> list[Cell]:
    return [cells.clean(), cells.cell(math.nan), cells.cell(0.3, attack="total", objective={"name": "total"})]


def five_tasks() -> list[Cell]:
    tasks = ("segmentation", "normals", "depth", "keypoints2d", "edge_texture")
    return [cells.clean(tasks), cells.cell(0.4, tasks), *(cells.single(task, 0.4, 0.2, tasks) for task in tasks)]


def twenty_attacks() -> list[Cell]:
    return [
        cells.clean(),
        *(cells.cell(0.01 * i, attack=f"attack{i}", objective={"name": f"o{i}"}) for i in range(20)),
    ]


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (nothing_but_clean, "nothing was attacked yet"),
        (without_clean, "1 of 1 ARPs are undefined"),
        (undefined_ratios, "1 of 2 transferability ratios are undefined"),
        (not_a_number, "an undefined value never counts as robust"),
        (five_tasks, "Damage of each task"),
        (twenty_attacks, "attacked on 12 test images each by 20 attacks"),
    ],
)
def test_odd_stores(made: Callable[[], Sequence[Cell]], says: str, tmp_path: Path) -> None:
    assert says in Read(write(tmp_path, *made())).text


def test_what_is_left_out_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mtlbench.storage import store

    with monkeypatch.context() as earlier:
        earlier.setattr(store, "RESULT_VERSION", 0)
        cells.outputs(tmp_path, cells.cell(0.2))
    found = cells.outputs(tmp_path, cells.clean(), cells.cell(0.5), cells.cell(0.3, eps=4.0))
    found.store.path(cells.cell(0.5).key).write_bytes(b"damaged")
    found.store.fail("f" * 24, "label", OSError("/home/somebody/x.png is missing"), {})
    text = Read(write(tmp_path)).text
    said = [what for what in ("1 damaged result", "another result version", "1 result that failed") if what in text]
    assert said == ["1 damaged result", "another result version", "1 result that failed"]


def test_a_store_without_results_is_an_error(call: Callable[..., Any], tmp_path: Path) -> None:
    cells.outputs(tmp_path / "outputs").store.fail("f" * 24, "label", OSError("full"), {})
    assert call("report").status == 3
    assert not (tmp_path / "outputs" / "report.html").exists()


def test_report_writes_it(call: Callable[..., Any], tmp_path: Path) -> None:
    cells.outputs(tmp_path / "outputs", cells.clean(), cells.cell(0.5))
    assert "outputs/report.html" in call("report").out
    assert (tmp_path / "outputs" / "tables" / "leaderboard.csv").is_file()


def test_a_page_of_many_rows_shows_the_first() -> None:
    made = grid(pd.DataFrame({"name": [f"n{i}" for i in range(MOST_ROWS + 1)]}), "id", "caption")
    assert (len(made.rows), made.all_rows) == (MOST_ROWS, MOST_ROWS + 1)


def test_an_interval_follows_its_value() -> None:
    frame = pd.DataFrame({"arp_percent": [12.345, math.nan], "ci_low": [10.0, math.nan], "ci_high": [15.25, math.nan]})
    assert [row[0].text for row in grid(frame, "id", "caption").rows] == ["12.3 [10, 15.2]", "undefined"]


def test_constant_columns_stand_in_the_caption() -> None:
    made = grid(pd.DataFrame({"model": ["a", "a"], "eps": [4.0, 8.0]}), "id", "caption")
    assert (made.constants, made.columns) == ({"model": "a"}, [("eps", True)])


def test_every_alarm_is_explained() -> None:
    """Each place where the text of an alarm is made has words of one meaning."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(alarms))) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "append"]
    texts = [ast.unparse(call.args[0]) for call in made]
    assert len(texts) > 5
    assert [text for text in texts if sum(words in text for words in MEANINGS) != 1] == []
