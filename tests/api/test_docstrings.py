"""Examples in docstrings do what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import mtlbench

ROOT = Path(mtlbench.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if ">>> " in path.read_text())


def test_the_package_opens_with_an_example() -> None:
    assert ROOT / "__init__.py" in MODULES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_run(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert found.failed == 0
