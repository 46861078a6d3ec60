"""The location of the configuration."""

from pathlib import Path


def conf_dir() -> Path:
    """The configuration folder: the checkout's conf/, or the copy inside an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"
