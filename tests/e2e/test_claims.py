"""From cron, after a power cut: the installed command, started once with wait=false, finishes what was cut."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mtlbench.storage import owner
from mtlbench.storage.claims import LEASE, claim_of
from mtlbench.storage.store import Store
from tests.running import Result

NAME = owner.NAME.fullmatch(owner.me())
OTHERS = {"another boot": {"boot": "b00t"}, "another host name": {"host": "container2"}}


@pytest.mark.parametrize("other", OTHERS)
def test_a_claim_that_nobody_can_be_asked_about(
    run: Callable[..., Result], call: Callable[..., Result], own_outputs: Path, small: tuple[str, ...], other: str
) -> None:
    """One of them as a process: what differs is the claim, not who reads it."""
    start = run if other == "another boot" else call
    assert NAME
    name = "~".join((NAME.groupdict() | OTHERS[other]).values())
    store = Store(own_outputs / "store")
    keys = store.keys()
    path = store.path(next(key for key in keys if store.load(key).identity["eps"] == 8))
    path.unlink()
    claim = claim_of(path)
    claim.mkdir()
    (claim / name).touch()
    order = ("attack", f"outputs={own_outputs}", *small, "eps=[2,8]", "wait=false")
    fresh = start(*order)
    assert fresh.status == 75, fresh.err
    assert f"{owner.words(name)} computes them" in fresh.err
    assert not path.exists()
    touch = (claim / name).stat().st_mtime - LEASE - 60
    os.utime(claim / name, (touch, touch))
    later = start(*order)
    assert (later.status, "ARP" in later.out) == (0, True), later.err
    assert path.exists()
    assert not claim.exists()
