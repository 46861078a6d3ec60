"""A start with everything stored imports nothing that only making, training or drawing needs: it takes seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, environment

HEAVY = {"skimage", "scipy", "altair", "vl_convert", "torchvision", "sympy", "networkx", "sklearn"}
ATTACK = """
from mtlbench.cli import entry as cli
try:
    cli.main()
except SystemExit as left:
    assert left.code == 0
"""


@pytest.mark.parametrize("code", ["import mtlbench.experiment.run", ATTACK], ids=["experiment", "attack"])
def test_what_is_not_imported(own_outputs: Path, code: str) -> None:
    code += "\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    words = [sys.executable, "-c", code, "attack", f"outputs={own_outputs}", *SMALL, "eps=[2,8]"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=240, check=True)
    imported = {module.partition(".")[0] for module in done.stderr.split()}
    assert "torch" in imported
    assert imported & HEAVY == set()
