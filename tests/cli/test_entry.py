"""What `mtlbench --help` says of the commands."""

import pytest

from mtlbench.cli.commands import data
from mtlbench.cli.entry import COMMANDS
from mtlbench.errors import UsageError


def test_every_action_of_data_is_named() -> None:
    with pytest.raises(UsageError) as refused:
        data({"action": "none"})
    actions = str(refused.value).partition("expected ")[2].split(", ")
    assert COMMANDS["data"].startswith(f"action={' | '.join(actions)}: ")
