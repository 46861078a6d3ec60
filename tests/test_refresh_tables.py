"""scripts/refresh_tables: a page keeps its words, and its tables become what the commands print."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "refresh_tables"
PAGE = """# Words

    mtlbench attack experiment=a 'eps=[4, 8]'

```text
ARP

 old   1
```

More words.

<!-- rows: ^ all_shared -->
```text
Clean

 old   2
```
"""
FAKE = """#!{python}
import sys
assert sys.argv[1:] == ["attack", "experiment=a", "eps=[4, 8]", "outputs=there"], sys.argv
print(\"\"\"ARP

 sharing        arp  
 ─────────────────
 all_shared     71.5

dataset rooms, seeds 0

Clean

 sharing        lost
 ─────────────────
 independent     0.0
 all_shared      2.3

dataset rooms, seeds 0
\"\"\")
sys.exit({status})
"""  # noqa: W291


def run(tmp_path: Path, page: str, status: int = 0) -> tuple[int, str, str]:
    """Status, standard error and the page afterwards, with a command that prints two tables."""
    command, file = tmp_path / "mtlbench", tmp_path / "page.md"
    command.write_text(FAKE.format(python=sys.executable, status=status))
    command.chmod(0o755)
    file.write_text(page)
    words = [sys.executable, str(SCRIPT), str(file), "outputs=there"]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"PATH": path})
    return done.returncode, done.stderr, file.read_text()


def test_tables_are_replaced_and_words_kept(tmp_path: Path) -> None:
    status, _, page = run(tmp_path, PAGE)
    assert status == 0
    assert page.splitlines()[:5] == PAGE.splitlines()[:5]
    assert "old" not in page
    assert (
        " sharing        arp\n ─────────────────\n all_shared     71.5\n\ndataset rooms, seeds 0\n```\n\nMore words."
        in page
    )
    assert " ─────────────────\n all_shared      2.3\n\ndataset rooms, seeds 0\n```\n" in page
    assert "independent" not in page, "rows that the comment leaves out"
    assert run(tmp_path, page)[2] == page, "a second time changes nothing"


def test_a_command_runs_once_and_only_for_a_table(tmp_path: Path) -> None:
    """The stand-in refuses every other command than that of the tables."""
    command = "    mtlbench attack experiment=a 'eps=[4, 8]'"
    assert command in PAGE
    others = f"    mtlbench train dataset=parts    # makes no table\n\n{command}    # the models\n"
    status, err, page = run(tmp_path, PAGE.replace(command, f"{others}\n{command}", 1))
    assert (status, err.count("mtlbench")) == (0, 1)
    assert "old" not in page
    assert "    mtlbench train dataset=parts    # makes no table\n" in page


@pytest.mark.parametrize(("title", "status", "says"), [("ARP", 3, "status 3"), ("Other", 0, "called 'Other'")])
def test_a_page_is_left_alone_when_a_table_is_missing(tmp_path: Path, title: str, status: int, says: str) -> None:
    page = PAGE.replace("ARP", title)
    assert run(tmp_path, page, status)[1].splitlines()[-1].endswith("the page is as it was")
    code, err, after = run(tmp_path, page, status)
    assert (code, after) == (1, page)
    assert says in err
