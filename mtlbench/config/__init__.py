"""From options to objects: one check per option, before any work. Knows no content of files and no result."""

from collections.abc import Mapping
from typing import Any

Config = Mapping[str, Any]
"""A resolved configuration, plain values."""
