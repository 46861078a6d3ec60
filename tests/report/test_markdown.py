"""Pivots as Markdown."""

from mtlbench.report.markdown import markdown
from tests.report.pivots import STRANGE, TABLE, entry, of


def test_a_table() -> None:
    assert (
        markdown(TABLE)
        == """Damage, percent; dataset rooms, model tiny; best bold, second underlined

| sharing | attack | depth, eps 4 | depth, eps 8 | normals, eps 4 |
| --- | --- | ---: | ---: | ---: |
| independent | dgba | <ins>9.9</ins> ±4.0 | **184.5** ±12.0 | 1.0 |
| independent | total | **42.0** ±0.5 | -3.0 ±1.0 ! | 2.0 |
| all_shared | dgba | undefined |  | undefined |

- alarm: nonfinite
- undefined: depth
"""
    )


def test_nothing_of_a_name_is_markup() -> None:
    written = markdown(STRANGE)
    assert r"a_b &amp; 50 % &lt;script&gt;alert(1)&lt;/script&gt;" in written
    assert r"\~^\\ {#\$} \[x\](y) \|\*\`{{ 7\*7 }}" in written
    assert "<" not in written.replace("<ins>", "")


def test_every_line_has_as_many_cells() -> None:
    lines = [line.replace(r"\|", "") for line in markdown(STRANGE).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {5}


def test_a_note_stands_behind_its_number() -> None:
    assert "| 1.0 ±0.5 w1/0/2 |" in markdown(of(entry(1.0, "0.5", note="w1/0/2")))
