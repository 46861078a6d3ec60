"""Modules that a callable uses are found wherever Python lets it keep them."""

from functools import partial
from typing import Any

import pytest
from torch import nn

from mtlbench.probing.hidden import hidden

TRUNK, HEAD = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 1, 1)


class Holder:
    def __init__(self) -> None:
        self.trunk, self.heads = TRUNK, [HEAD]

    def __call__(self, x: Any) -> Any:
        return self.heads[0](self.trunk(x))

    def predict(self, x: Any) -> Any:
        return self(x)


def closure() -> Any:
    trunk, heads = TRUNK, {"depth": HEAD}
    return lambda x: heads["depth"](trunk(x))


def with_model(x: Any, model: nn.Module) -> Any:
    return model(x)


CALLABLES = {
    "global": (lambda x: HEAD(TRUNK(x)), {"TRUNK": TRUNK, "HEAD": HEAD}),
    "global, in a function inside": (lambda x: (lambda f: HEAD(f))(TRUNK(x)), {"TRUNK": TRUNK, "HEAD": HEAD}),
    "closure": (closure(), {"heads['depth']": HEAD, "trunk": TRUNK}),
    "object": (Holder(), {"trunk": TRUNK, "heads[0]": HEAD}),
    "method of an object": (Holder().predict, {"trunk": TRUNK, "heads[0]": HEAD}),
    "method of a module": (TRUNK.forward, {"self": TRUNK}),
    "partial": (partial(with_model, model=TRUNK), {"model": TRUNK}),
    "partial of a position": (partial(with_model, TRUNK), {"argument 0": TRUNK}),
    "none": (lambda x: {"depth": x}, {}),
    "a module has no hidden ones": (TRUNK, {}),
}


@pytest.mark.parametrize("kind", CALLABLES)
def test_found_by_name(kind: str) -> None:
    call, expected = CALLABLES[kind]
    assert hidden(call) == expected
