"""Where a result comes from: the commit, and whether the code is that of the commit."""

import subprocess
from pathlib import Path

import pytest

from mtlbench.experiment import provenance


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own with one commit, in which the code is thought to lie."""
    for name in ("mtlbench/experiment/provenance.py", "conf/attack.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    for arguments in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "all")):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True, timeout=60)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "mtlbench/experiment/provenance.py"))
    return tmp_path


def dirty() -> bool:
    found = provenance.commit.__wrapped__()
    assert len(found.removesuffix("+changes")) == 40
    return found.endswith("+changes")


def test_a_file_that_is_new_or_changed_in_the_code_is_told(clone: Path) -> None:
    assert not dirty()
    (clone / "outputs").mkdir()
    (clone / "outputs" / "arp.csv").write_text("no code")
    assert not dirty()
    (clone / "conf" / "new.yaml").write_text("")
    assert dirty()
    (clone / "conf" / "new.yaml").unlink()
    (clone / "conf" / "attack.yaml").write_text("changed")
    assert dirty()
