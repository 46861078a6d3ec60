"""Short and long forms of the same harness; `./scripts/test --robustness` runs the long ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.robustness.unattended.processes import Installed, Nursery, Reference, reference


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Starts runs in milliseconds."""
    started = Nursery(tmp_path_factory.mktemp("nursery"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def undisturbed(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What an uninterrupted sweep leaves. Not to be changed."""
    return reference(nursery, tmp_path_factory.mktemp("undisturbed") / "outputs")


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installed]:
    """Starts the installed command in `tmp_path`."""
    started = Installed(tmp_path)
    yield started
    started.close()
