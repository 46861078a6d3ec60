"""Font caches of matplotlib and fontconfig, for users without a writable home folder."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

PLACES = {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config"}


def provide_caches() -> None:
    """Give matplotlib a temporary folder if it cannot create its own; call it before the import."""
    if "MPLCONFIGDIR" in os.environ or _home_will_do():
        return
    folder = tempfile.mkdtemp(prefix="mtlbench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ |= {"MPLCONFIGDIR": folder, "XDG_CACHE_HOME": folder}


def _home_will_do() -> bool:
    """Whether matplotlib can create its folders, tested by creating them."""
    try:
        for variable, name in PLACES.items():
            folder = Path(os.environ.get(variable) or Path.home() / name) / "matplotlib"
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                return False
    except (OSError, RuntimeError):  # RuntimeError: unknown home folder
        return False
    return True
