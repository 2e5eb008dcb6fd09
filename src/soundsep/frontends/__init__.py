"""Waveform in, features out: one module per kind of feature."""

from __future__ import annotations

from soundsep.frontends.kaldi import KaldiMelConfig, KaldiMelFrontend
from soundsep.frontends.mel import MEL_PRESETS, MelConfig, MelFrontend, power_to_db

__all__ = [
    "MEL_PRESETS",
    "Frontend",
    "FrontendConfig",
    "KaldiMelConfig",
    "KaldiMelFrontend",
    "MelConfig",
    "MelFrontend",
    "build_frontend",
    "power_to_db",
]

FrontendConfig = MelConfig | KaldiMelConfig
Frontend = MelFrontend | KaldiMelFrontend


def build_frontend(config: FrontendConfig) -> Frontend:
    """The frontend that a config describes."""
    return MelFrontend(config) if isinstance(config, MelConfig) else KaldiMelFrontend(config)
