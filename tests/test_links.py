"""Links between our pages lead somewhere: the file is there, and so is the heading."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub and MkDocs both spell them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            wrong.append(f"{path}#{anchor}")
        elif DOCS in page.parents and DOCS not in target.parents:
            wrong.append(f"{path}: not part of the site, scripts/docs refuses it")
    assert wrong == []


def test_headings_and_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Why is it so?\n\n```sh\n# no heading\n```\n\n[a](b.md#c) [d](https://e.org/f) [g](#why-is-it-so)\n"
    )
    assert headings(page) == {"why-is-it-so"}
    assert LINK.findall(page.read_text()) == [("b.md", "c"), ("", "why-is-it-so")]


def test_the_first_page_leads_to_every_other() -> None:
    index = DOCS / "index.md"
    linked = {(DOCS / path).resolve() for path, _ in LINK.findall(index.read_text()) if path}
    assert set(DOCS.rglob("*.md")) - linked == {index}


def test_the_site_has_every_page() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (DOCS.parent / "mkdocs.yml").read_text()))
    assert {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} == listed
