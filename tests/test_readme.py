"""What README.md says of conf/ and of the code is so."""

import re
from pathlib import Path

import pytest

from mtlbench.studies import STUDIES

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
README = (ROOT / "README.md").read_text()
ROWS = dict(reversed(re.findall(r"^\| ([\w/]+) \| (.*) \|$", README, re.MULTILINE)))
"""First column of a table -> the rest of the line; the first such line counts."""

GROUPS = ("dataset", "model", "sharing", "attack", "attack/step", "training", "defence", "scores")
STARTS = {"quickstart", "parts", "text", "text_words"}
"""Experiments that are in the row `experiment`; the others have rows of their own."""


def options(group: str) -> set[str]:
    return {path.stem for path in (CONF / group).glob("*.yaml")}


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_of_a_group_is_named(group: str) -> None:
    named = set(re.findall(r"\w+", ROWS[group].replace(", _", ", adversarial_")))
    assert options(group) - named == set()


def test_every_experiment_is_named() -> None:
    assert {name for name in options("experiment") if name not in ROWS} == STARTS
    assert set(re.findall(r"\w+", ROWS["experiment"])) >= STARTS


def test_the_objective_that_is_shown_is_the_one_that_runs() -> None:
    """All but its imports and docstrings."""
    shown = dict(re.findall(r"^```\w+\n# (\S+/total\.\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
    code, options = (ROOT / name for name in ("mtlbench/attacks/objectives/total.py", "conf/attack/total.yaml"))
    assert shown.pop("conf/attack/total.yaml") == options.read_text()
    without = re.sub(r' *""".*?"""\n', "", code.read_text(), flags=re.DOTALL)
    (text,) = shown.values()
    lines = [re.sub(r" +#.*", "", line) for line in text.splitlines() if line]
    assert [line for line in without.splitlines() if line and "import" not in line] == lines


def test_the_studies_that_a_report_takes_are_named() -> None:
    """In conf/report.yaml."""
    text = (CONF / "report.yaml").read_text()
    (comment,) = re.findall(r"^study: null # of the whole store: (.*?)^cell", text, re.MULTILINE | re.DOTALL)
    assert re.findall(r"\w+", comment) == list(STUDIES)
