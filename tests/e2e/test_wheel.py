"""The wheel carries its configuration and runs from anywhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from mtlbench import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contents of a freshly built wheel. No network: the build backend comes with the test extra."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"),
            *("--disable-pip-version-check", "--wheel-dir", str(folder), str(ROOT)),
        ],
        check=True,
        timeout=120,
    )
    (wheel,) = folder.glob("*.whl")
    assert wheel.name == f"mtlbench-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_it_holds_every_module_and_every_configuration_file(unpacked: Path) -> None:
    for source, inside in (
        (ROOT / "conf", unpacked / "mtlbench" / "conf"),
        (ROOT / "mtlbench", unpacked / "mtlbench"),
    ):
        files = {
            file.relative_to(source)
            for suffix in ("yaml", "py", "html", "css", "js")
            for file in source.rglob(f"*.{suffix}")
        }
        assert files
        assert {file for file in files if not (inside / file).is_file()} == set()


def test_it_holds_nothing_else(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir()} == {"mtlbench", f"mtlbench-{__version__}.dist-info"}
    metadata = unpacked / f"mtlbench-{__version__}.dist-info"
    assert "mtlbench = mtlbench.cli.entry:main" in (metadata / "entry_points.txt").read_text()
    assert list(metadata.rglob("LICENSE"))


def test_it_runs_from_another_folder(unpacked: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mtlbench", "attack", "experiment=quickstart", "--cfg", "job"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert yaml.safe_load(done.stdout)["eps"] == [4, 8]
    code = "from mtlbench.config.folder import conf_dir; print(conf_dir())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert Path(done.stdout.strip()) == unpacked / "mtlbench" / "conf"
