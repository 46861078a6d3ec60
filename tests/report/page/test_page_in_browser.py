"""outputs/report.html in Chromium: it shows itself, asks for nothing, and can be used by everybody."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.report.page.conftest import Opened

Open = Callable[..., Opened]

PHONE = {"width": 390, "height": 844}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
}
TABLE = "#all-arp"


def column(opened: Opened, number: int) -> list[str]:
    """The texts of a column of the table of ARPs, of the rows that are shown."""
    return opened.page.eval_on_selector_all(
        f"{TABLE} tbody tr:not([hidden])", f"rows => rows.map(row => row.children[{number}].textContent)"
    )


def numbers(texts: list[str]) -> list[float]:
    return [float(text.split()[0]) for text in texts]


def header(opened: Opened, name: str) -> tuple[Any, int]:
    """The button of a column and the column's number."""
    names = opened.page.locator(f"{TABLE} thead th").all_inner_texts()
    place = next(number for number, text in enumerate(names) if text.startswith(name))
    return opened.page.locator(f"{TABLE} thead th").nth(place), place


def test_nothing_is_said_on_the_console(open_page: Open, study_page: Path) -> None:
    assert open_page(study_page).said == []


def test_nothing_is_loaded(open_page: Open, study_page: Path) -> None:
    assert open_page(study_page).asked == []


def test_a_header_sorts_by_number(open_page: Open, study_page: Path) -> None:
    opened = open_page(study_page)
    head, place = header(opened, "arp")
    head.get_by_role("button").click()
    found = numbers(column(opened, place))
    assert found == sorted(found)


def test_again_it_sorts_the_other_way(open_page: Open, study_page: Path) -> None:
    opened = open_page(study_page)
    head, place = header(opened, "arp")
    head.get_by_role("button").press("Enter")
    head.get_by_role("button").press("Enter")
    found = numbers(column(opened, place))
    assert found == sorted(found, reverse=True)


def test_the_order_is_told_to_a_screen_reader(open_page: Open, study_page: Path) -> None:
    opened = open_page(study_page)
    head, _ = header(opened, "arp")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"


def test_the_filter_leaves_rows_with_all_words(open_page: Open, study_page: Path) -> None:
    opened = open_page(study_page)
    line = opened.page.locator(f".table:has({TABLE})")
    line.get_by_label("Filter").fill("DGBA all_shared")
    assert len(column(opened, 0)) == 2
    assert line.locator("output").inner_text() == "2 of 20 rows"


def test_without_script_the_tables_are_whole(open_page: Open, study_page: Path) -> None:
    opened = open_page(study_page, java_script_enabled=False)
    assert opened.page.locator(f"{TABLE} tbody tr").count() == 20
    assert opened.page.get_by_label("Filter").first.is_hidden()


def test_a_phone_scrolls_one_way(open_page: Open, study_page: Path) -> None:
    opened = open_page(study_page, viewport=PHONE)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_print_leaves_the_controls_out(open_page: Open, study_page: Path) -> None:
    opened = open_page(study_page)
    opened.page.emulate_media(media="print")
    assert opened.page.get_by_label("Filter").first.is_hidden()


@pytest.mark.parametrize("look", list(LOOKS))
def test_everybody_can_use_it(open_page: Open, study_page: Path, look: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    opened = open_page(study_page, bypass_csp=True, **LOOKS[look])  # the policy keeps axe out, too
    found = Axe().run(opened.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_nothing_of_a_name_runs(open_page: Open, hostile_page: Path) -> None:
    opened = open_page(hostile_page)
    dialogs: list[str] = []
    opened.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    opened.page.reload()
    assert (dialogs, opened.said, opened.asked) == ([], [], [])


def test_the_policy_keeps_out_what_would_slip_through(open_page: Open, study_page: Path, tmp_path: Path) -> None:
    text = study_page.read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(text.replace("</main>", "<script>document.title = 'ran'</script></main>"))
    assert open_page(tmp_path / "page.html").page.title() != "ran"
