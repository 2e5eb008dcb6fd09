from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from soundsep.datasets import LONG_SCENES, Scene, SoundscapeConfig
from soundsep.errors import ConfigError


def scene_with(
    *spans: tuple[int, int, int], hidden: tuple[tuple[int, int, int], ...] = ()
) -> Scene:
    """Of 50 frames of 20 ms; each span is target, first and last + 1 frame."""

    def rows(given):
        return tuple(
            (target, np.isin(np.arange(50), np.arange(first, last)))
            for target, first, last in given
        )

    return Scene(
        waveform=torch.zeros(16_000),
        events=(),
        active=rows(spans),
        hidden=rows(hidden),
        clips=(),
        strangers=(),
        is_clip=False,
    )


def test_long_frames_are_centred_on_their_time():
    # Frames of 160 ms: frame k is centred on k * 0.16 s, so frame 0 hears 80 ms alone.
    presence, weight = scene_with((1, 8, 24)).frame_targets(3, 7, 8)
    assert presence[:, 1].tolist() == [0, 1, 1, 1, 0, 0, 0]
    assert presence[:, (0, 2)].sum() == 0
    assert weight.min() == 1


def test_a_class_is_there_from_half_a_frame_on():
    def first_frames(last):
        return scene_with((0, 4, last)).frame_targets(1, 7, 8)[0][:, 0].tolist()

    assert first_frames(8) == [0, 1, 0, 0, 0, 0, 0]
    assert first_frames(7) == [0] * 7


def test_where_nobody_can_tell_nothing_is_learnt_unless_the_class_is_heard_as_well():
    scene = scene_with((0, 0, 12), hidden=((0, 10, 28), (1, 0, 50)))
    presence, weight = scene.frame_targets(2, 7, 8)
    assert presence[:, 0].tolist() == [1, 1, 0, 0, 0, 0, 0]
    assert weight[:, 0].tolist() == [1, 1, 0, 0, 1, 1, 1]
    assert weight[:, 1].sum() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_sounds": (0.5, 0.4)},
        {"n_sounds": ()},
        {"level_db": (3.0, -3.0)},
        {"snr_db": (1.0,)},
        {"clip_share": 1.5},
        {"cut": 0.95},
        {"seconds": 3_601.0},
        {"seconds": 0.1},
        {"sample_rate": 44_123},
        {"sounds_per_minute": 0.0},
        {"sounds_per_minute": 61.0},
        {"max_at_once": 0},
    ],
    ids=str,
)
def test_what_cannot_be_made_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong)) + "|seconds|n_sounds"):
        SoundscapeConfig(**wrong)


def test_a_config_is_plain_json_and_older_ones_are_read():
    assert SoundscapeConfig.from_dict(LONG_SCENES.to_dict()) == LONG_SCENES
    older = SoundscapeConfig().to_dict()
    del older["sounds_per_minute"], older["max_at_once"]
    assert SoundscapeConfig.from_dict(older) == SoundscapeConfig()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_sounds": (math.nan,)}, "n_sounds must be"),
        ({"n_sounds": ("1",)}, "n_sounds must be"),
        ({"n_sounds": (1.5, -0.5)}, "n_sounds must be"),
        ({"n_sounds": (0.5, 0.6)}, "n_sounds must be shares that sum to 1"),
        ({"gain_db": (-math.inf, 0.0)}, "gain_db must be a number, got"),
        ({"snr_db": (0.0, math.inf)}, "snr_db must be a number, got"),
        ({"level_db": (math.nan, 0.0)}, "level_db must be"),
        ({"t60_seconds": (0.0, 0.0)}, "t60_seconds must be .* above 0"),  # gave scenes of NaN
        ({"t60_seconds": (-1.0, 1.0)}, "t60_seconds must be .* above 0"),
        ({"t60_seconds": (0.1, 1e9)}, "at most 60, got"),
    ],
)
def test_ranges_that_no_scene_can_have_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        SoundscapeConfig(**change)
