"""Plain values of a configuration: what is wrong is named, with what would be right."""

import pytest

from mtlbench.config.values import OF_ATTACK, check_values
from mtlbench.errors import UsageError


@pytest.mark.parametrize("lacking", OF_ATTACK)
def test_what_a_file_in_conf_attack_lacks_is_named(lacking: str) -> None:
    whole = {"name": "mine", "objective": {}, "tasks": None, "random_start": False, "restarts": 1}
    check_values({"attack": whole})
    with pytest.raises(UsageError, match=f"attack: without {lacking}; .*/common_attack@_here_ among its defaults"):
        check_values({"attack": {name: value for name, value in whole.items() if name != lacking}})
