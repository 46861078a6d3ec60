"""The panels of some cells, in the order in which a page shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mtlbench.report.panels.panel import Panel
from mtlbench.storage.outputs import Outputs


@dataclass(frozen=True)
class Gallery:
    """The panels of some cells.

    Attributes:
        panels: the most telling first, so that a page may show a prefix of them.
        choice: sentences, plain text: by which rule the images were chosen, and what rounding to 8 bits does; empty
            without panels.
        notes: sentences, plain text: what is missing and why, with the command that adds it.
    """

    panels: tuple[Panel, ...]
    choice: str = ""
    notes: tuple[str, ...] = ()

    def within(self, most: int) -> tuple[list[Panel], str]:
        """The first panels that take at most `most` bytes of HTML, and a sentence if that leaves some out."""
        shown: list[Panel] = []
        used = 0
        for panel in self.panels:
            if used + panel.bytes > most:
                break
            used += panel.bytes
            shown.append(panel)
        left = len(self.panels) - len(shown)
        if not left:
            return shown, ""
        return shown, (
            f"{len(shown)} of {len(self.panels)} panels are shown ({used / 1e6:.1f} MB of HTML); the others would take "
            f"the page above its size limit."
        )


def panels(outputs: Outputs, identities: Mapping[str, Mapping[str, Any]]) -> Gallery:
    """The panels of some cells.

    Args:
        outputs: the folder with the saved images.
        identities: key of a cell -> its identity; cells without saved images are mentioned in the notes.
    """
    return Gallery(())
