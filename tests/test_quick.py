"""What `scripts/test --quick` leaves out is there, or a test that was renamed would come back unseen."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_what_it_leaves_out_exists() -> None:
    lists = re.findall(
        r"^  (?:files|tests)=\(\n.*?^  \)$", (ROOT / "scripts" / "test").read_text(), re.MULTILINE | re.DOTALL
    )
    code = "\n".join((*lists, 'printf "%s\\n" "${files[@]}" "${tests[@]}"'))
    names = subprocess.run(
        ["bash", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(lists) == 2
    assert len(names) > 40
    for name in names:
        file, _, function = name.partition("::")
        assert (ROOT / file).exists(), name
        assert not function or f"\ndef {function}(" in (ROOT / file).read_text(), name
