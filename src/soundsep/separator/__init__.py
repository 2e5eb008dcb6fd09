"""`Separator`: separates sounds that occur at the same time."""

from __future__ import annotations

from soundsep.separator.config import SeparatorConfig
from soundsep.separator.separation import Separation
from soundsep.separator.separator import Separator

__all__ = ["Separation", "Separator", "SeparatorConfig"]
