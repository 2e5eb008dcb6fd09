"""`Separator`: several sounds at once, each given back alone."""

from __future__ import annotations

from soundsep.separator.config import SeparatorConfig
from soundsep.separator.separation import Separation
from soundsep.separator.separator import Separator

__all__ = ["Separation", "Separator", "SeparatorConfig"]
