"""`mtlbench report` in a loop beside a sweep: always 0, or nothing there yet, and never a torn table."""

import shutil
from collections import Counter
from pathlib import Path

from tests.robustness.unattended.forms import rounds
from tests.robustness.unattended.processes import SWEEP, Nursery, Reference, check_whole


@rounds(short=1, long=20)
def test_beside_a_sweep(nursery: Nursery, undisturbed: Reference, tmp_path: Path, rounds: int) -> None:
    statuses = Counter[int]()
    for _ in range(rounds):
        outputs = tmp_path / "outputs"
        shutil.rmtree(outputs, ignore_errors=True)
        sweep = nursery(*SWEEP, f"outputs={outputs}")
        while sweep.poll() is None:
            report = nursery("report", f"outputs={outputs}")
            while report.poll() is None:
                report.wait(0.05)
                check_whole(outputs)
            assert report.status in (0, 3), report.err
            assert report.status == 0 or "no results yet" in report.err
            assert "Traceback" not in report.err
            statuses[report.status] += 1
        assert sweep.status == 0, sweep.err
        undisturbed.check(outputs)
    print(f"\nreports: {rounds} sweeps, {statuses.total()} reports beside them; by status {dict(statuses)}")
