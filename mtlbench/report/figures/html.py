"""A figure as a piece of a page; ``report/page/charts.js`` and ``charts.css`` belong to it."""

import re
from html import escape

NARROW = 480
"""Pixels: wider pictures scroll on a phone, narrower ones shrink."""


def html(picture: str, name: str, title: str, description: str) -> str:
    """A ``figure`` with the picture, a place for what a mark is, and the description.

    Args:
        picture: SVG of `drawing`.
        name: of the figure; its id in the page is ``figure-<name>``.
        title: name of the region that the keyboard reaches; any text.
        description: caption; any text.
    """
    width = re.search(r'\bwidth="([\d.]+)"', picture)
    wide = " chart-wide" if width and float(width[1]) > NARROW else ""
    return (
        f'<figure class="chart{wide}" id="figure-{escape(name)}">'
        f'<div class="chart-picture" role="group" tabindex="0" aria-label="{escape(title)}">{picture}</div>'
        f'<p class="chart-said" role="status"></p><figcaption>{escape(description)}</figcaption></figure>'
    )
