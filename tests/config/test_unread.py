"""Options that nothing reads, by the configuration alone."""

import pytest

from mtlbench.config.unread import check_read
from mtlbench.errors import UsageError

GENERATED, READ = {"root": "/data", "make": {"form": "slu"}}, {"root": "/data", "make": None}


@pytest.mark.parametrize("option", ["images", "sentences", "seed"])
def test_a_given_root_leaves_nothing_to_generate(option: str) -> None:
    with pytest.raises(UsageError, match=f"dataset.{option}=3: nothing reads this .* so nothing is generated"):
        check_read({"dataset": GENERATED}, [f"dataset.{option}=3"], swept=False)


def test_the_seed_of_a_split_is_read_from_a_root_as_well() -> None:
    """The digits of dataset=digits are split by it, wherever they lie."""
    check_read({"dataset": READ}, ["dataset.seed=3"], swept=False)
