"""Names of folders and files reach the configuration as they were typed; what a message tells to type works."""

import random
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from mtlbench.cli import app
from mtlbench.config.quoting import AS_TYPED, advice, as_typed, quoted
from mtlbench.errors import UsageError

NAMES = [
    *("données", "k=v", "a(b)", "a,b", "a[1]", "it's", 'a "b"', 'it\'s "b"', "a b", "a{b}", "x: y", "#1", "100%"),
    *("20261126", "1e5", "007", "1_000", "0x10", "1.50", "+1", "-1", "true", "False", "nan", "inf", "null_", "no"),
    *(
        "choice(a)",
        "int(3)",
        "a\\b",
        "a\\",
        "a\\\\",
        '"',
        "'",
        "'a",
        'a"',
        "'a'b",
        "\\'",
        '\\"',
        "~/x",
        "../up",
        "a;b",
    ),
    *(
        "!",
        "&",
        "日本",
        "a\tb",
        "$x",
        "a$",
        "@",
        "*",
        "?",
        "a:b",
        "a/b=c/d",
        ":",
        "=",
        "==",
        "(",
        ")",
        ")(",
        "a]",
        "a}",
    ),
]


PARSER = OverridesParser.create()


def hydra_reads(override: str) -> object:
    return PARSER.parse_override(override).value()


@pytest.mark.parametrize("key", [*AS_TYPED, "+dataset.root", "++outputs"])
def test_a_name_is_taken_as_typed(key: str) -> None:
    assert [hydra_reads(*as_typed([f"{key}={name}"], app._read)) for name in NAMES] == NAMES


@pytest.mark.parametrize("flag", ["-m", "--multirun", "hydra.mode=MULTIRUN", "+experiment=transfer"])
def test_a_name_in_a_sweep(flag: str) -> None:
    names = [name for name in NAMES if "," not in name and name != "choice(a)"]
    assert [hydra_reads(as_typed([f"outputs={name}", flag], app._read)[0]) for name in names] == names


def test_any_text_in_quotes_is_read_as_itself() -> None:
    dice = random.Random(0)
    for _ in range(3000):
        text = "".join(dice.choices("ab'\"\\ ,()[]{}=:$é", k=dice.randint(1, 8)))
        assert hydra_reads(f"key={quoted(text)}") == text, text


@pytest.mark.parametrize("name", NAMES)
def test_the_advice_works_in_a_shell(name: str) -> None:
    line = f"printf '%s' {advice('device', name)}"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True, timeout=60)
    assert hydra_reads(done.stdout) == name


def test_what_hydra_reads_as_typed_stays_as_it_is() -> None:
    """It is shown again in messages and files."""
    same = ["outputs=/data/a-b_c.d", "dataset.root=a/b", "checkpoint=auto", "cell=0038e3", "eps=1e5", "limit=null"]
    assert as_typed(same, app._read) == same


@pytest.mark.parametrize("argument", ["dataset.root=null", "outputs=", "outputs='a,b'", 'checkpoint="1e5"', "outputs"])
def test_null_nothing_and_quotes_are_hydras(argument: str) -> None:
    assert as_typed([argument], app._read) == [argument]


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("checkpoint=a.pt,b.pt", ["a.pt", "b.pt"]),
        ("dataset.root=1e5, a(b) ,it's", ["1e5", "a(b)", "it's"]),
        ("checkpoint='a,b',c", ["a,b", "c"]),
        ("checkpoint=choice(a,b)", ["a", "b"]),
    ],
)
def test_a_comma_in_a_sweep_separates(argument: str, values: list[str]) -> None:
    override = OverridesParser.create().parse_override(as_typed(["-m", argument], app._read)[1])
    assert override.is_sweep_override()
    assert [hydra_reads(f"x={one}") for one in override.sweep_string_iterator()] == values


@pytest.mark.parametrize("flag", ["-m", "experiment=transfer", "+experiment=transfer"])
def test_one_folder_for_a_sweep(flag: str) -> None:
    with pytest.raises(UsageError, match="expected one folder") as told:
        as_typed([flag, "outputs=a,b"], app._read)
    assert as_typed([flag, *_advised(told)], app._read)[1] == 'outputs="a,b"'


@pytest.mark.parametrize("argument", ["outputs=[a]", "dataset.root=[1] new", "checkpoint={a}"])
def test_a_list_is_no_name(argument: str) -> None:
    with pytest.raises(UsageError, match="begins with a bracket is quoted") as told:
        as_typed([argument], app._read)
    assert f"{argument.partition('=')[0]}={hydra_reads(*_advised(told))}" == argument


def _advised(told: pytest.ExceptionInfo[UsageError]) -> list[str]:
    found = re.search(r"'[\w.]+=\".*", str(told.value))
    assert found
    return shlex.split(found[0])


def test_the_folder_has_the_name_that_was_typed(call: Callable, tmp_path: Path) -> None:
    for name in ("20261126", "1e5", "a(b)", "it's", "k=v", "a,b", "données"):
        done = call("layouts", "limit=1", f"outputs={name}")
        assert done.status == 0, done.err
        assert (tmp_path / name / "runs").is_dir()
        config = yaml.safe_load(call("attack", f"dataset.root={name}", f"checkpoint={name}", "--cfg", "job").out)
        assert (config["dataset"]["root"], config["checkpoint"]) == (name, name)


def test_other_options_say_how_text_is_quoted(call: Callable) -> None:
    done = call("attack", "device=a(b)")
    assert done.status == 2
    assert done.err.endswith("""text that holds brackets, commas, quotes or = is quoted: 'device="a(b)"'\n""")
    again = call("attack", *shlex.split(done.err.rpartition(": ")[2]))
    assert again.err.startswith("mtlbench: device=a(b): expected auto, cpu, cuda or cuda:N")


def test_letters_that_the_locale_has_not(call: Callable) -> None:
    """As Python hands them over in the locale C."""
    done = call("layouts", "outputs=donn\udcc3\udca9es")
    assert done.status == 2
    assert done.err.endswith("for outputs=données set PYTHONUTF8=1 or a UTF-8 locale\n")
