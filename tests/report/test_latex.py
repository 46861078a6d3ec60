"""Pivots as LaTeX: what is written, and that it compiles whatever stands in a name."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mtlbench.report.latex import latex
from mtlbench.report.pivot import Pivot
from tests.report.pivots import STRANGE, TABLE, entry, of

DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
%s
\end{document}
"""


def body(*entries) -> str:
    """The row of a pivot of one row, behind its name."""
    lines = latex(of(*entries)).splitlines()
    return lines[lines.index(r"\midrule") + 1].removeprefix("dgba & ").removesuffix(r" \\")


def test_a_table() -> None:
    assert (
        latex(TABLE)
        == r"""\begin{table}
\centering
\caption{Damage, percent; dataset rooms, model tiny; best bold, second underlined.}
\label{tab:damage}
\begin{tabular}{llr@{\,$\pm$\,}lr@{\,$\pm$\,}lr}
\toprule
 &  & \multicolumn{4}{c}{depth} & \multicolumn{1}{c}{normals} \\
\cmidrule(lr){3-6} \cmidrule(lr){7-7}
sharing & attack & \multicolumn{2}{c}{eps 4} & \multicolumn{2}{c}{eps 8} & \multicolumn{1}{r}{eps 4} \\
\midrule
independent & dgba & \underline{9.9} & 4.0 & \textbf{184.5} & 12.0 & 1.0 \\
 & total & \textbf{42.0} & 0.5 & $-$3.0 & \phantom{0}1.0\rlap{$^{!}$} & 2.0 \\
\addlinespace
all\_shared & dgba & \multicolumn{2}{c}{undefined} & \multicolumn{2}{c}{} & undefined \\
\bottomrule
\end{tabular}

\medskip
{\footnotesize\raggedright
alarm: nonfinite\par
undefined: depth\par
}
\end{table}
"""
    )


def test_without_a_caption_it_is_the_tabular() -> None:
    assert latex(of(entry(1.0)), caption=False).startswith(r"\begin{tabular}{lr}")


def test_a_label_of_the_users() -> None:
    assert r"\label{tab:mine}" in latex(of(entry(1.0)), label="tab:mine")


def test_bounds_are_in_brackets() -> None:
    assert body(entry(1.0, "-0.5, 1.5")) == "1.0 & [$-$0.5, 1.5]"


def test_a_value_without_its_interval_stays_in_its_column() -> None:
    lines = latex(of(entry(1.0), entry(2.0, "0.5"))).splitlines()
    assert lines[lines.index(r"\midrule") + 1] == r"dgba & 1.0 & 2.0 & 0.5 \\"
    mixed = Pivot(**(vars(TABLE) | {"entries": ((entry(7.0), None, None), *TABLE.entries[1:])}))
    assert r"\multicolumn{1}{r@{\phantom{\,$\pm$\,}}}{7.0} &" in latex(mixed)


def test_what_stands_behind_a_number_elsewhere_stands_below() -> None:
    assert "dgba, eps 0: w1/0/2\\par" in latex(of(entry(1.0, note="w1/0/2")))


def test_nothing_of_a_name_is_a_command() -> None:
    written = latex(STRANGE)
    assert r"a\_b \& 50 \% \textless{}script\textgreater{}alert(1)" in written
    assert r"\textasciitilde{}\textasciicircum{}\textbackslash{} \{\#\$\} {[}x](y) \textbar{}{*}\`{}" in written


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_two_tables_compile(tmp_path: Path) -> None:
    """With booktabs alone; no box is overfull but those of the long names."""
    (tmp_path / "tables.tex").write_text(DOCUMENT % (latex(TABLE) + latex(STRANGE)))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").read_bytes().startswith(b"%PDF")
