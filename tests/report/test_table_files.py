"""The tables as Markdown and LaTeX: readable by their programs whatever stands in a cell."""

import pandas as pd

from mtlbench.report.tables import latex, markdown

FRAME = pd.DataFrame(
    {"n_images": [64, 9], "a|b": [r"single:x|y & 50 % ~^\ {#$}", "plain"], "arp": [1.23456, float("nan")]}
)


def test_latex_escapes_what_has_a_meaning() -> None:
    assert (
        latex(FRAME)
        == r"""\begin{tabular}{lll}
\toprule
n\_images & a|b & arp \\
\midrule
64 & single:x|y \& 50 \% \textasciitilde{}\textasciicircum{}\textbackslash{} \{\#\$\} & 1.2346 \\
9 & plain &  \\
\bottomrule
\end{tabular}
"""
    )


def test_markdown_escapes_the_bar() -> None:
    header, rule, first, second = markdown(FRAME).splitlines()
    assert header == r"| n_images | a\|b | arp |"
    assert rule == "| ---: | --- | ---: |"
    assert first == r"| 64 | single:x\|y & 50 % ~^\ {#$} | 1.2346 |"
    assert second == "| 9 | plain |  |"
