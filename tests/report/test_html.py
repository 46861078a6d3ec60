"""Pivots as HTML."""

from html.parser import HTMLParser

from mtlbench.report.html import html
from tests.report.pivots import HOSTILE, STRANGE, TABLE


class Reader(HTMLParser):
    """Counts tags, and keeps all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_headers_say_what_they_are_of() -> None:
    written = html(TABLE)
    assert '<th scope="col" rowspan="2">sharing</th>' in written
    assert '<th scope="colgroup" colspan="2">depth</th><th scope="colgroup">normals</th>' in written
    assert '<tr><th scope="row">independent</th><th scope="row">dgba</th>' in written


def test_best_and_second_are_marked() -> None:
    assert '<td data-value="184.5"><strong>184.5 ±12.0</strong></td>' in html(TABLE)
    assert '<td data-value="9.9"><u>9.9 ±4.0</u></td>' in html(TABLE)


def test_the_reason_is_with_the_number() -> None:
    assert '<td data-value="-3.0" title="alarm: nonfinite">-3.0 ±1.0 !</td>' in html(TABLE)
    assert '<td data-value="nan" title="undefined: depth">undefined</td>' in html(TABLE)


def test_nothing_of_a_name_is_markup() -> None:
    reader = Reader(html(STRANGE))
    tags = {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"}
    assert set(reader.tags) == tags
    assert {name for name, _ in reader.attributes} <= {"class", "scope", "rowspan", "colspan", "data-value", "title"}
    assert "".join(reader.texts).count(HOSTILE) == 9
