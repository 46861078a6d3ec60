"""Panels on a page: below the tables of a report, or by themselves, as a file or in a notebook."""

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

from markupsafe import Markup

from mtlbench.report.page.page import MOST_BYTES, Block, Page, Section, render
from mtlbench.report.panels import Gallery
from mtlbench.storage.files import write_atomically

OPEN_PANELS = 2
"""Each is taller than a screen: the others open on a click."""

ROOM = 200_000
"""Bytes left free below the limit of a page for what stands around the panels."""

TITLE = "Attacked images"
HEIGHT = 720
"""Pixels of the frame in a notebook."""


def panel_blocks(gallery: Gallery, room: int) -> list[Block]:
    """The panels that fit into so many bytes, with what must be said of them."""
    shown, cut = gallery.within(room)
    if not shown and not gallery.notes:
        return []
    said = [text for text in (gallery.choice if shown else "", *gallery.notes, cut) if text]
    folded = ("" if place < OPEN_PANELS else panel.title for place, panel in enumerate(shown))
    blocks = (Block(html=Markup(panel.html), folded=title) for panel, title in zip(shown, folded, strict=True))
    return [Block(paragraphs=tuple(said)), *blocks]


@dataclass(frozen=True)
class Pictures:
    """What attacks do to single images; a notebook shows it.

    Attributes:
        gallery: the panels: one for each image, model and epsilon.
    """

    gallery: Gallery

    @cached_property
    def html(self) -> str:
        """A page with as many panels as fit, that needs no other file and no network."""
        blocks = panel_blocks(self.gallery, MOST_BYTES - ROOM)
        return render(Page(TITLE, (Section("panels", TITLE, tuple(blocks)),)))

    def save(self, path: str | Path) -> Path:
        """Write the page."""
        write_atomically(Path(path), self.html)
        return Path(path)

    def __len__(self) -> int:
        return len(self.gallery.panels)

    def __repr__(self) -> str:
        return f"{len(self)} panels: a notebook shows them, .save('panels.html') writes them"

    def _repr_html_(self) -> str:
        """For notebooks: the page in a frame of its own, whose style and script touch nothing else."""
        return f'<iframe title="{TITLE}" width="100%" height="{HEIGHT}" srcdoc="{escape(self.html)}"></iframe>'
