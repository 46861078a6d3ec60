"""Provenance of a result: commit, versions, device. Recorded beside results, never part of their key."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "mtlbench",
    "torch",
    "torchvision",
    "numpy",
    "pandas",
    "hydra-core",
    "opencv-python-headless",
    "safetensors",
)
MODELS = ("timm", "segmentation-models-pytorch", "transformers")
"""Those that models may come from."""


@cache
def versions() -> dict[str, str]:
    """Installed version of each package that can affect a number."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found | {package: version(package) for package in MODELS if _installed(package)}


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


@cache
def commit() -> str:
    """The git commit of the code; ``unknown`` outside git.

    With the suffix ``+changes`` if a tracked file differs, or mtlbench/ or conf/ holds a file that git does not know.
    """
    folder = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]  # otherwise `status` writes to .git
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != folder.parent:
            return "unknown"  # installed inside an unrelated repository
        new = git("ls-files", "--others", "--exclude-standard", ":/mtlbench", ":/conf")  # a new objective, for example
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") or new else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def device_name(device: object) -> str:
    """Human name of a torch device."""
    import torch

    if str(device).startswith("cuda"):
        return torch.cuda.get_device_name(device)  # type: ignore[arg-type]
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def record(device: object) -> dict[str, object]:
    """The whole provenance, with the time."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "versions": versions(),
        "device": str(device),
        "device_name": device_name(device),
        "host": platform.node(),
    }
