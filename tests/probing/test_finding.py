"""What was found, as text, as HTML, as data and as an error."""

import json

import pytest

from mtlbench.errors import ModelError
from mtlbench.probing.finding import Finding, Probe, each

REFUSED = Finding("gradient", "depth", "refuse", "has no gradient", "take .detach() out")
WARNED = Finding("saturation", None, "warn", "96% are > 17 apart", "outputs=lambda out: {**out}")
TOLD = Finding("logits", "scene", "info", "log-probabilities", "nothing to do")


def test_only_refusals_speak_against_it() -> None:
    assert Probe((WARNED, TOLD)).ok
    Probe((WARNED, TOLD)).require()
    assert not Probe((REFUSED,)).ok


def test_the_error_has_every_reason_and_how_to_go_on() -> None:
    other = Finding("inputs", None, "refuse", "lower as bgr01", "attack(..., inputs='bgr01')")
    with pytest.raises(ModelError) as refused:
        Probe((REFUSED, other, WARNED)).require()
    text = str(refused.value)
    assert "gradient of depth: has no gradient; take .detach() out" in text
    assert "inputs: lower as bgr01; attack(..., inputs='bgr01')" in text
    assert "probe='warn'" in text
    assert "saturation" not in text


def test_text_has_a_line_for_each_part() -> None:
    lines = str(Probe((REFUSED, WARNED), ("gradient", "saturation"))).splitlines()
    assert lines[0] == "probe: 1 refuse, 1 warn (asked: gradient, saturation)"
    assert lines[2:5] == ["refuse  gradient of depth", "        has no gradient", "        take .detach() out"]
    assert lines[6] == "warn    saturation"
    assert str(Probe()) == "probe: nothing found"


def test_html_is_escaped() -> None:
    shown = Probe((WARNED,))._repr_html_()
    assert "<td>96% are &gt; 17 apart</td>" in shown
    assert "<table" not in Probe()._repr_html_()


def test_stored_and_read_again() -> None:
    probe = Probe((REFUSED, WARNED, TOLD))
    assert Probe.stored(json.loads(json.dumps(probe.described()))).findings == probe.findings


def test_one_finding_for_what_all_tasks_share() -> None:
    found = each("batch", "refuse", {"a": "is .1", "b": "is .2"}, ["a", "b"], "eval()")
    assert found == [Finding("batch", None, "refuse", "a is .1, b is .2", "eval()")]
    assert [one.task for one in each("batch", "refuse", {"b": "is .2"}, ["a", "b"], "eval()")] == ["b"]
    assert [one.task for one in each("batch", "refuse", {"b": "is .2"}, ["b"], "eval()")] == ["b"]
