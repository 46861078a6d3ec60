"""A page as one file: sections of blocks through the template, with a policy that lets nothing else in.

Every text is escaped by the template; only blocks of `Markup`, made by our own writers of HTML, are not.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from mtlbench import __version__
from mtlbench.report.page.grid import Grid

HERE = Path(__file__).parent
STYLES = ("page.css", "charts.css", "panels.css")
SCRIPTS = ("page.js", "charts.js", "panels.js")

MOST_BYTES = 10_000_000
"""A page is to be sent by mail, and opened on a phone."""


@dataclass(frozen=True)
class Block:
    """A part of a section; what is empty is not shown. The order is that of the attributes.

    Attributes:
        heading: above it.
        paragraphs: plain text.
        sentences: plain text, as a list.
        html: a table or figure that is HTML already.
        folded: what opens `html`, which is closed at first; empty shows it.
        scroll: name of the region in which `html` scrolls sideways, if it may be wider than a phone.
        grid: a table that can be sorted and filtered.
        command: what prints the numbers of `html`.
        file: a file with these numbers, relative to the page.
        pairs: names and values.
        definition: a term as a question, and what it means.
    """

    heading: str = ""
    paragraphs: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    html: Markup | None = None
    folded: str = ""
    scroll: str = ""
    grid: Grid | None = None
    command: str = ""
    file: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    definition: tuple[str, str] | None = None


@dataclass(frozen=True)
class Section:
    """A part of the page with a title, which the navigation links to."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """What is on a page.

    Attributes:
        title: of the page.
        sections: in order.
    """

    title: str
    sections: tuple[Section, ...] = field(default=())


def render(page: Page) -> str:
    """The page as HTML, with style, script and images inside."""
    style, script = _joined(STYLES), _joined(SCRIPTS)
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return _template().render(
        page=page, policy=Markup(policy), style=Markup(style), script=Markup(script), version=__version__
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html")


def _joined(names: Iterable[str]) -> str:
    """The text of some of our own files, each in a block of its own."""
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in names if (HERE / name).is_file())


def _hash(text: str) -> str:
    """The source expression by which a policy admits one inline text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
