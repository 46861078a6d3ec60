"""A pivot as an HTML table, with nothing in it that runs; the page adds sorting and filtering."""

from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup, escape

from mtlbench.report.pivot import BEST, SECOND, Entry, Labels, Pivot

PLACES = {BEST: "<strong>%s</strong>", SECOND: "<u>%s</u>"}


def html(pivot: Pivot) -> str:
    """A ``<table>`` with caption and scoped headers. Whatever stands in a name or status is escaped."""
    head = [_head(pivot, level) for level in range(len(pivot.column_names))]
    body = [_row(labels, entries) for labels, entries in zip(pivot.rows, pivot.entries, strict=True)]
    parts = [
        Markup('<table class="pivot">'),
        Markup("<caption>{}</caption>").format(pivot.caption),
        Markup("<thead>"),
        *head,
        Markup("</thead>\n<tbody>"),
        *body,
        Markup("</tbody>"),
        *([_foot(pivot)] if pivot.notes else []),
        Markup("</table>"),
    ]
    return str(Markup("\n").join(parts))


def _head(pivot: Pivot, level: int) -> Markup:
    """A header row; equal labels that stand side by side under the same ones share a cell."""
    last = level == len(pivot.column_names) - 1
    names = [
        Markup('<th scope="col" rowspan="{}">{}</th>').format(len(pivot.column_names), name)
        for name in (pivot.row_names if level == 0 else ())
    ]
    heads = [
        Markup('<th scope="{}"{}>{}</th>').format(
            "col" if last else "colgroup", Markup(' colspan="{}"').format(count) if count > 1 else "", text
        )
        for text, count in spans(pivot.columns, level)
    ]
    return Markup("<tr>{}</tr>").format(Markup("").join([*names, *heads]))


def spans(columns: Sequence[Labels], level: int) -> list[tuple[str, int]]:
    """The labels of a level of columns, and over how many columns each extends."""
    return [(labels[-1], len(list(group))) for labels, group in groupby(columns, lambda c: c[: level + 1])]


def _row(labels: Labels, entries: Sequence[Entry | None]) -> Markup:
    heads = (f'<th scope="row">{escape(text)}</th>' for text in labels)
    return Markup(f"<tr>{''.join([*heads, *map(_cell, entries)])}</tr>")


def _cell(entry: Entry | None) -> str:
    """HTML, with the full value for sorting, and with the reason where it is undefined or doubtful."""
    if entry is None:
        return "<td></td>"
    reason = f' title="{escape(entry.status)}"' if entry.status != "ok" else ""
    text = PLACES.get(entry.place, "%s") % escape(entry.plain)
    return f'<td data-value="{entry.value!r}"{reason}>{text}</td>'


def _foot(pivot: Pivot) -> Markup:
    lines = Markup("<br>\n").join(pivot.notes)
    width = len(pivot.row_names) + len(pivot.columns)
    return Markup('<tfoot><tr><td colspan="{}">{}</td></tr></tfoot>').format(width, lines)
