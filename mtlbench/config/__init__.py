"""From options to objects: one check per option, before any work. Independent of file contents and results."""

from collections.abc import Mapping
from typing import Any

Config = Mapping[str, Any]
"""A resolved configuration of plain Python values."""
