"""Waveform in, features out: one module per kind of feature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from soundsep.errors import ConfigError
from soundsep.frontends.cost import frontend_cost
from soundsep.frontends.gammatone import GammatoneConfig, GammatoneFrontend
from soundsep.frontends.kaldi import KaldiMelConfig, KaldiMelFrontend
from soundsep.frontends.mel import MEL_PRESETS, MelConfig, MelFrontend
from soundsep.frontends.mfcc import MFCC_PRESETS, MFCCConfig, MFCCFrontend
from soundsep.frontends.scaling import power_to_db
from soundsep.frontends.waveform import WaveformConfig, WaveformFrontend

__all__ = [
    "MEL_PRESETS",
    "MFCC_PRESETS",
    "Frontend",
    "FrontendConfig",
    "GammatoneConfig",
    "GammatoneFrontend",
    "KaldiMelConfig",
    "KaldiMelFrontend",
    "MFCCConfig",
    "MFCCFrontend",
    "MelConfig",
    "MelFrontend",
    "WaveformConfig",
    "WaveformFrontend",
    "build_frontend",
    "frontend_cost",
    "power_to_db",
]

# The first is what a config in JSON means that does not say its kind.
FrontendConfig = MelConfig | KaldiMelConfig | MFCCConfig | GammatoneConfig | WaveformConfig
Frontend = MelFrontend | KaldiMelFrontend | MFCCFrontend | GammatoneFrontend | WaveformFrontend

_FRONTENDS: dict[type[FrontendConfig], Callable[[Any], Frontend]] = {
    MelConfig: MelFrontend,
    KaldiMelConfig: KaldiMelFrontend,
    MFCCConfig: MFCCFrontend,
    GammatoneConfig: GammatoneFrontend,
    WaveformConfig: WaveformFrontend,
}


def build_frontend(config: FrontendConfig) -> Frontend:
    """The frontend that a config describes.

    Raises:
        ConfigError: ``config`` is not the config of a frontend.
    """
    build = _FRONTENDS.get(type(config))
    if build is None:
        known = ", ".join(kind.__name__ for kind in _FRONTENDS)
        raise ConfigError(f"expected one of {known}, got a {type(config).__name__}")
    return build(config)
