"""OmegaConf's mark for a value that must be given, without importing OmegaConf."""

from typing import Any

MISSING: Any = "???"
