"""A pivot as a table of GitHub-flavoured Markdown: best bold, second underlined."""

from collections.abc import Iterable

from mtlbench.report.pivot import BEST, SECOND, Entry, Pivot

ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "\\|*[]`~$"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
"""Characters that Markdown, or the HTML in it, would read; underscores inside of words are none."""

PLACES = {BEST: "**{}**", SECOND: "<ins>{}</ins>"}  # GitHub removes <u>


def markdown(pivot: Pivot) -> str:
    """The caption, the table, and remarks; labels are escaped."""
    heads = [*pivot.row_names, *(", ".join(labels) for labels in pivot.columns)]
    rules = [*("---" for _ in pivot.row_names), *("---:" for _ in pivot.columns)]
    body = [
        _row([*map(escaped, labels), *map(_text, entries)])
        for labels, entries in zip(pivot.rows, pivot.entries, strict=True)
    ]
    table = [_row(map(escaped, heads)), _row(rules), *body]
    parts = [escaped(pivot.caption), "\n".join(table), "\n".join(f"- {escaped(line)}" for line in pivot.notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """The text such that it is shown as it is."""
    return text.translate(ESCAPES)


def _row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _text(entry: Entry | None) -> str:
    if entry is None:
        return ""
    value, rest = escaped(entry.text), escaped(entry.plain.removeprefix(entry.text))
    return PLACES.get(entry.place, "{}").format(value) + rest
