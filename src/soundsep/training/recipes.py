"""The recipes that come with the library, by name."""

from __future__ import annotations

from typing import Any

from soundsep.augment import Gain, Mask, Mixup, Noise, PitchShift, RandomCrop, Roll, TimeStretch
from soundsep.errors import ConfigError
from soundsep.frontends import (
    MEL_PRESETS,
    MFCC_PRESETS,
    GammatoneConfig,
    KaldiMelConfig,
    MelConfig,
    WaveformConfig,
)
from soundsep.names import did_you_mean
from soundsep.training.recipe import Recipe, Stage

__all__ = ["RECIPES", "get_recipe"]

# What the library's own ResNets learn with.
_OURS: dict[str, Any] = {
    "max_speed": 1.2,
    "waveform_steps": (Gain(max_db=6.0), Mixup(probability=0.5)),
    "feature_steps": (
        Mask(axis="frequency", max_share=0.15, n_masks=2),
        Mask(axis="time", max_share=0.15, n_masks=2),
    ),
    "bfloat16": True,
}

# Few and small steps: the backbone has learnt far more than the clips can teach it.
_FINE_TUNING: dict[str, Any] = {
    "network": "mn04-bands",
    "frontend": KaldiMelConfig(),
    "stages": (Stage(epochs=20),),
    "backbone": "audioset-mn04",
    "freeze_batch_norm": True,
    "frozen_share": 0.61,
    "learning_rate": 3e-4,
    "warmup": 0.1,
    "max_speed": 1.1,
    "waveform_steps": (Gain(max_db=6.0), Mixup(probability=0.5, alpha=0.3)),
    "ema_decay": 0.995,
    "initial_share": 0.5,
    "bfloat16": True,
}

# The projects that this library comes from trained simply: one rate that falls in steps, no
# averaged weights, a report after every epoch.
_PLAIN: dict[str, Any] = {
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "schedule": "step",
    "ema_decay": 0.0,
    "bfloat16": True,
    "report_every": 1,
}


def _as_it_is(epochs: int) -> tuple[Stage]:
    """Epochs of whole clips, from their start."""
    return (Stage(epochs=epochs, is_rolled=False),)


# 128 x 431 for a clip of 5 s.
_MEL_431 = MelConfig(
    sample_rate=44_100, n_fft=2_048, win_length=2_048, hop_length=512, n_mels=128, f_max=20_000.0
)
_CROP: dict[str, Any] = _PLAIN | {
    "frontend": _MEL_431,
    "stages": _as_it_is(40),
    "n_variants": 5,
    "feature_steps": (
        RandomCrop(length=384, n_bands=100),
        Mask(axis="time", max_share=0.1),
        Mask(axis="frequency", max_share=0.1),
    ),
}

# Augmentation as one project had it, for the same network idea on two kinds of input.
_SHIFTED: dict[str, Any] = _PLAIN | {
    "stages": _as_it_is(60),
    "step_epochs": 25,
    "waveform_steps": (
        PitchShift(max_semitones=2.0),
        TimeStretch(max_rate=1.2),
        Noise(snr_db=(15.0, 40.0)),
        Roll(),
    ),
}

_URBANSOUND8K: dict[str, Any] = _PLAIN | {
    "data": "urbansound8k",
    "has_validation": True,
    "network": "cnn-mel",
    "window_seconds": 4.0,
    "stages": _as_it_is(30),
    "step_epochs": 15,
    "balance": "weights",
}

_RECIPES = (
    Recipe(
        name="esc50-resnet34",
        description="ResNet-34 taught by a probe of audioset-mn04; crops first, whole clips last",
        network="resnet34",
        stages=(Stage(epochs=150, crop_seconds=2.5, n_candidates=3), Stage(epochs=30)),
        teacher="audioset-mn04",
        teacher_share=0.7,
        embedding_weight=1.0,
        **_OURS,
    ),
    Recipe(
        name="esc50-resnet18",
        description="ResNet-18 without a teacher; crops first, whole clips last",
        network="resnet18",
        stages=(Stage(epochs=180, crop_seconds=2.5, n_candidates=3), Stage(epochs=40)),
        label_smoothing=0.1,
        **_OURS,
    ),
    Recipe(
        name="finetune",
        description="what `soundsep fit --mode finetune` does with one's own clips",
        **_FINE_TUNING,
    ),
    Recipe(
        name="urban11-resnet34",
        description="eleven urban sounds; the mel spectrogram as an 8-bit image",
        data="urban11",
        network="resnet34",
        frontend=MEL_PRESETS["44k-image"],
        stages=_as_it_is(30),
        balance="weights",
        **_PLAIN,
    ),
    Recipe(
        name="esc50-resnet18-44k",
        description="fine frequency bins at 44.1 kHz; the rate falls to a tenth every 10 epochs",
        network="resnet18",
        frontend=MEL_PRESETS["44k-fine"],
        stages=_as_it_is(30),
        **_PLAIN,
    ),
    Recipe(
        name="esc50-resnet18-mfcc",
        description="the same on the cepstrum of the same spectrogram",
        network="resnet18",
        frontend=MFCC_PRESETS["44k-fine"],
        stages=_as_it_is(30),
        **_PLAIN,
    ),
    Recipe(
        name="esc50-cnn-mel",
        description="small CNN on log-mel; pitch shift, time stretch, noise",
        network="cnn-mel",
        **_SHIFTED,
    ),
    Recipe(
        name="esc50-cnn-wave",
        description="the same idea on the waveform itself",
        network="cnn-wave",
        frontend=WaveformConfig(scaling="standardize"),
        **_SHIFTED,
    ),
    Recipe(
        name="esc50-aclnet",
        description="AclNet on the waveform (Huang and Alvarado Leanos 2018)",
        network="aclnet",
        frontend=WaveformConfig(scaling="standardize"),
        **_SHIFTED,
    ),
    Recipe(
        name="esc50-crop-resnet18",
        description="random crops of 100 bands x 384 frames, two masks; ResNet-18",
        network="resnet18",
        **_CROP,
    ),
    Recipe(
        name="esc50-crop-cnn8",
        description="the same; eight layers, strided convolutions, average pooling",
        network="cnn8",
        **_CROP,
    ),
    Recipe(
        name="esc50-crop-cnn4",
        description="the same; four layers, max pooling",
        network="cnn4",
        **_CROP,
    ),
    Recipe(
        name="urbansound8k-cnn-mel",
        description="small CNN on log-mel; training, validation and test by official folds",
        frontend=MelConfig(sample_rate=22_050, f_max=11_025.0, hop_length=441),
        **_URBANSOUND8K,
    ),
    Recipe(
        name="urbansound8k-cnn-gammatone",
        description="the same on gammatone features",
        frontend=GammatoneConfig(sample_rate=22_050),
        **_URBANSOUND8K,
    ),
    Recipe(
        name="esc50-crnn",
        description="convolutions, then a bidirectional LSTM over time",
        network="crnn",
        stages=_as_it_is(60),
        step_epochs=25,
        waveform_steps=(Roll(), Gain(max_db=6.0)),
        feature_steps=_OURS["feature_steps"],
        **_PLAIN,
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _RECIPES}


def get_recipe(name: str) -> Recipe:
    """Look up a recipe by name.

    Args:
        name: One of `RECIPES`.

    Raises:
        ConfigError: no recipe has that name.
    """
    if name not in RECIPES:
        hint = did_you_mean(name, RECIPES)
        raise ConfigError(f"no recipe {name!r}{hint}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
