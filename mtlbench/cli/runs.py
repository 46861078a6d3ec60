"""The folder with the configuration and log of an invocation."""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mtlbench.errors import MtlbenchError


class RunFolder:
    """A folder below the outputs, or a temporary one.

    Args:
        only_reads: the command works in a read-only folder, such as a colleague's results.
    """

    def __init__(self, only_reads: bool) -> None:
        self.only_reads = only_reads
        self.temporary: str | None = None

    def choose(self, wanted: str) -> str:
        """`wanted`, which need not exist yet, or a temporary folder if it cannot be created."""
        if not self.only_reads or _may_be_made(Path(wanted)):
            return wanted
        self.temporary = self.temporary or tempfile.mkdtemp(prefix="mtlbench-")
        return self.temporary

    def end(self, status: int) -> None:
        """Remove the temporary folder, unless the command failed and its log may explain why."""
        if self.temporary and status == MtlbenchError.status:
            print(f"mtlbench: the log of this run is in {self.temporary}", file=sys.stderr)
        elif self.temporary:
            shutil.rmtree(self.temporary, ignore_errors=True)


def _may_be_made(folder: Path) -> bool:
    there = next(above for above in (folder.absolute(), *folder.absolute().parents) if os.access(above, os.F_OK))
    return os.access(there, os.W_OK | os.X_OK) or not there.is_dir()  # a path that is no folder is reported elsewhere


def runs_of(arguments: Sequence[str]) -> str:
    """The folder for the files of Hydra and the logs, as far as the command line determines it."""
    given = [argument.partition("=")[2].strip("'\"") for argument in arguments if argument.startswith("outputs=")]
    return f"{(given or ['outputs'])[-1]}/runs"
