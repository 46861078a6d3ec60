"""Pivots written down by hand."""

from math import nan

from mtlbench.report.pivot import BEST, SECOND, Entry, Pivot

HOSTILE = r"""a_b & 50 % <script>alert(1)</script> "q" 'r' ~^\ {#$} [x](y) |*`{{ 7*7 }}--"""
"""A name with whatever LaTeX, Markdown or HTML would read."""


def entry(value: float, interval: str = "", status: str = "ok", place: int = 0, note: str = "") -> Entry:
    """An entry with one digit behind the point."""
    return Entry(value, nan, nan, status, "undefined" if value != value else f"{value:.1f}", interval, place, note)


def of(*entries: Entry | None, name: str = "dgba", remarks: tuple[str, ...] = ()) -> Pivot:
    """A pivot of one row, a column for each entry."""
    columns = tuple((f"eps {number}",) for number in range(len(entries)))
    return Pivot("arp", "ARP", (("seed", "0"),), ("attack",), ((name,),), ("eps",), columns, (entries,), remarks)


TABLE = Pivot(
    "damage",
    "Damage, percent",
    (("dataset", "rooms"), ("model", "tiny")),
    ("sharing", "attack"),
    (("independent", "dgba"), ("independent", "total"), ("all_shared", "dgba")),
    ("task", "eps"),
    (("depth", "eps 4"), ("depth", "eps 8"), ("normals", "eps 4")),
    (
        (entry(9.9, "4.0", place=SECOND), entry(184.5, "12.0", place=BEST), entry(1.0)),
        (entry(42.0, "0.5", place=BEST), entry(-3.0, "1.0", "alarm: nonfinite"), entry(2.0)),
        (entry(nan, status="undefined: depth"), None, entry(nan, status="undefined: normals")),
    ),
    ("alarm: nonfinite", "undefined: depth"),
)
"""Two levels of columns, one without intervals; best, second, doubtful, undefined and missing entries."""

STRANGE = Pivot(
    "strange",
    HOSTILE,
    ((HOSTILE, HOSTILE),),
    (HOSTILE, "row"),
    (("[a]", HOSTILE), ("*", "b")),
    ("eps",),
    ((HOSTILE,), ("text",)),
    (
        (entry(1.0, "0.5, 1.5", f"alarm: {HOSTILE}", note=HOSTILE), Entry(nan, nan, nan, "ok", HOSTILE, "")),
        (entry(nan, status=f"undefined: {HOSTILE}"), None),
    ),
    (f"alarm: {HOSTILE}",),
)
"""`HOSTILE` wherever there is text."""
