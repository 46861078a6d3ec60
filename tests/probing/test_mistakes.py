"""The probe on five families of models: every mistake is named, and nothing is said against those that are right."""

import pytest
from torch import nn

from tests.probing.families import FAMILIES, Scenes, blobs, trained
from tests.probing.mistakes import MISTAKES, RIGHT, asked

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return blobs()


@pytest.fixture(scope="module")
def networks(one_thread: None, scenes: Scenes) -> dict[str, nn.Module]:
    return {name: trained(family, scenes) for name, family in FAMILIES.items()}


PAIRS = [
    pytest.param(name, family, marks=() if (i + j) % 2 == 0 else pytest.mark.robustness)
    for i, name in enumerate(MISTAKES)
    for j, family in enumerate(FAMILIES)
]
"""Every mistake with two or three families and every family with half of the mistakes; the others as the long form."""


@pytest.mark.parametrize(("name", "family"), PAIRS)
def test_every_mistake_is_named(networks: dict[str, nn.Module], scenes: Scenes, name: str, family: str) -> None:
    probe = asked(MISTAKES[name], networks[family], FAMILIES[family].inputs, scenes)
    assert MISTAKES[name].found(probe), str(probe)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", RIGHT)
def test_no_false_alarm(networks: dict[str, nn.Module], scenes: Scenes, name: str, family: str) -> None:
    probe = asked(RIGHT[name], networks[family], FAMILIES[family].inputs, scenes)
    assert RIGHT[name].alarms(probe) == [], str(probe)
