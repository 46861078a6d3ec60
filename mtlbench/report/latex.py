r"""A pivot as a LaTeX table: booktabs, best bold, second underlined, every name escaped.

Compiles with latex-base, latex-recommended and ``\usepackage{booktabs}``. A value and its interval are two columns,
``r@{\,$\pm$\,}l``, so that they align without siunitx, whose columns lose bold and underlined numbers. Shorter
intervals begin with phantom digits: a second column ``r`` would be torn from the first one below a wide header.
"""

from collections.abc import Sequence
from math import isnan

from mtlbench.report.html import spans
from mtlbench.report.pivot import BEST, SECOND, Entry, Labels, Pivot

ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "`": r"\`{}",
        '"': "''",  # active in German and others
        "-": "-{}",  # no dashes
        "[": "{[}",  # at the beginning of a row, the one above would take it for an option
        "*": "{*}",
        "±": r"$\pm$",
    }
)
"""Characters that LaTeX, or its old font encoding, would read otherwise."""

PLACES = {BEST: r"\textbf{%s}", SECOND: r"\underline{%s}"}
GAPS = {"half": r"\,$\pm$\,", "bounds": r"\,"}
"""What stands between a value and its interval."""


def latex(pivot: Pivot, caption: bool = True, label: str | None = None) -> str:
    r"""A ``tabular``, in a ``table`` with ``\caption`` and ``\label`` or without.

    Args:
        pivot: the table.
        caption: whether to write the ``table`` with its caption.
        label: of the table; by default ``tab:`` and the name of the pivot. Empty for none.
    """
    kinds = [_kind([row[number] for row in pivot.entries]) for number in range(len(pivot.columns))]
    specs = "l" * len(pivot.row_names) + "".join(SPECS[kind] for kind in kinds)
    lines = [
        rf"\begin{{tabular}}{{{specs}}}",
        r"\toprule",
        *_heads(pivot, kinds),
        r"\midrule",
        *_body(pivot, kinds),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    remarks = [*pivot.notes, *_behind(pivot)]
    if remarks:
        lines += ["", r"\medskip", r"{\footnotesize\raggedright", *(f"{escaped(r)}\\par" for r in remarks), "}"]
    if not caption:
        return "\n".join(lines) + "\n"
    label = f"tab:{pivot.name}" if label is None else label
    around = [r"\begin{table}", r"\centering", rf"\caption{{{escaped(pivot.caption)}.}}"]
    around += [rf"\label{{{label}}}"] if label else []
    return "\n".join([*around, *lines, r"\end{table}"]) + "\n"


SPECS = {"half": r"r@{\,$\pm$\,}l", "bounds": r"r@{\,}l", "number": "r", "text": "l"}
"""Kind of a column -> its specification; the first two are two columns of LaTeX."""


def escaped(text: str) -> str:
    """The text such that it is printed as it is."""
    return text.translate(ESCAPES)


def _kind(entries: Sequence[Entry | None]) -> str:
    found = [entry for entry in entries if entry is not None]
    for entry in found:
        if entry.interval:
            return "bounds" if entry.bounds else "half"
    return "number" if any(not isnan(entry.value) for entry in found) else "text"


def _width(kind: str) -> int:
    return 2 if kind in ("half", "bounds") else 1


def _heads(pivot: Pivot, kinds: Sequence[str]) -> list[str]:
    """A line for each level of the columns, with rules below groups of columns."""
    lines: list[str] = []
    last = len(pivot.column_names) - 1
    for level in range(last):
        cells, rules, number, at = [""] * len(pivot.row_names), [], 0, len(pivot.row_names) + 1
        for text, count in spans(pivot.columns, level):
            width = sum(map(_width, kinds[number : number + count]))
            cells.append(_over(width, "c", escaped(text)))
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
            number, at = number + count, at + width
        lines += [_line(cells), " ".join(rules)]
    names = [escaped(name) for name in pivot.row_names]
    titles = [
        _over(_width(kind), "c" if _width(kind) > 1 else SPECS[kind], escaped(labels[-1]))
        for labels, kind in zip(pivot.columns, kinds, strict=True)
    ]
    return [*lines, _line([*names, *titles])]


def _body(pivot: Pivot, kinds: Sequence[str]) -> list[str]:
    """A line for each row; a label is not repeated, and where the first one changes there is a gap."""
    longest = [max((len(e.interval) for e in column if e), default=0) for column in zip(*pivot.entries, strict=True)]
    lines, before = [], None
    for labels, entries in zip(pivot.rows, pivot.entries, strict=True):
        if before and len(labels) > 1 and before[0] != labels[0]:
            lines.append(r"\addlinespace")
        lines.append(_line([*_labels(labels, before), *map(_cell, entries, kinds, longest)]))
        before = labels
    return lines


def _labels(labels: Labels, before: Labels | None) -> list[str]:
    same = 0
    while before and same < len(labels) - 1 and before[same] == labels[same]:
        same += 1
    return [""] * same + [escaped(text) for text in labels[same:]]


def _cell(entry: Entry | None, kind: str, longest: int) -> str:
    """What stands in the one or two columns of an entry; `longest` is the length of the longest interval below it."""
    width = _width(kind)
    if entry is None:
        return _over(width, "c", "") if width > 1 else ""
    value = PLACES.get(entry.place, "%s") % _number(entry.text)
    mark = r"\rlap{$^{!}$}" if entry.doubtful else ""
    if width == 1:
        return value + mark
    if isnan(entry.value):
        return _over(width, "c", value)
    if not entry.interval:
        return rf"\multicolumn{{1}}{{r@{{\phantom{{{GAPS[kind]}}}}}}}{{{value}{mark}}} &"
    parts = ", ".join(map(_number, entry.interval.split(", ")))
    digits = "0" * (longest - len(entry.interval))
    before = rf"\phantom{{{digits}}}" if digits else ""
    return f"{value} & {f'[{parts}]' if entry.bounds else before + parts}{mark}"


def _number(text: str) -> str:
    """A number with a minus sign, or an escaped text."""
    return f"$-${text[1:]}" if text[:1] == "-" and text[1:2].isdigit() else escaped(text)


def _over(width: int, spec: str, text: str) -> str:
    return rf"\multicolumn{{{width}}}{{{spec}}}{{{text}}}"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _behind(pivot: Pivot) -> list[str]:
    """What stands behind single numbers elsewhere, for which these columns have no room."""
    return [
        f"{', '.join((*row, *column))}: {entry.note}"
        for row, entries in zip(pivot.rows, pivot.entries, strict=True)
        for column, entry in zip(pivot.columns, entries, strict=True)
        if entry is not None and entry.note
    ]
