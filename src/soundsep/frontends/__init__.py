"""Waveform in, features out: one module per kind of feature."""

from soundsep.frontends.mel import MEL_PRESETS, MelConfig, MelFrontend, power_to_db

__all__ = ["MEL_PRESETS", "MelConfig", "MelFrontend", "power_to_db"]
