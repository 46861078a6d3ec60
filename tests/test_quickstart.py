"""scripts/quickstart passes its arguments to the command, and none to pip; both are stand-ins here."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_extra_arguments_go_to_the_command(tmp_path: Path) -> None:
    stubs = {
        "python": f'if [ "$1" = -c ]; then echo {tmp_path}; else echo "$@" > {tmp_path}/pip; fi',
        "mtlbench": 'echo "$@"',
    }
    (tmp_path / "bin").mkdir()
    for name, line in stubs.items():
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\n{line}\n")
        file.chmod(0o755)
    run = subprocess.run(
        [ROOT / "scripts" / "quickstart", "seed=1", "limit=2"],
        env=os.environ | {"VIRTUAL_ENV": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "attack experiment=quickstart seed=1 limit=2\n"
    assert f"-e {ROOT} -c" in (tmp_path / "pip").read_text()
