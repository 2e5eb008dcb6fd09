from __future__ import annotations

import numpy as np
import pytest

from soundsep.datasets import SoundscapeConfig
from soundsep.datasets._scene_mixing import PlacedSound, mix, tell_truth
from soundsep.datasets.sounds import FRAME_SECONDS, Sound, band_energies

CONFIG = SoundscapeConfig(seconds=2.0)
HOP = round(FRAME_SECONDS * CONFIG.sample_rate)


def placed(n_frames: int, first: int, *, target: int = 0, clip: int = 0) -> PlacedSound:
    rng = np.random.default_rng(clip)
    waveform = rng.uniform(-0.1, 0.1, n_frames * HOP).astype(np.float32)
    energy = band_energies(waveform, CONFIG.sample_rate)
    sound = Sound(waveform, energy, np.ones(n_frames, np.bool_), float(energy.sum(axis=0).mean()))
    return PlacedSound(target, clip, sound, first, offset=0, length=n_frames)


def background(loud_from: int) -> np.ndarray:
    """Silence, and from a frame on noise that drowns everything."""
    noise = np.random.default_rng(9).uniform(-10, 10, CONFIG.n_samples).astype(np.float32)
    noise[: loud_from * HOP] = 0
    return noise


@pytest.mark.parametrize(("n_frames", "is_heard"), [(3, True), (2, False)])
def test_less_than_three_frames_are_not_heard(n_frames, is_heard):
    truth = tell_truth(CONFIG, [placed(n_frames, 10)], background(CONFIG.n_frames))
    assert bool(truth.events) == bool(truth.clips) == is_heard


@pytest.mark.parametrize(("n_quiet", "is_heard"), [(10, True), (9, False)])
def test_a_quarter_of_a_sound_is_to_be_heard(n_quiet, is_heard):
    """Forty frames, of which so many are not drowned; the others are hidden."""
    truth = tell_truth(CONFIG, [placed(40, 20)], background(20 + n_quiet))
    assert bool(truth.events) == is_heard
    ((target, hidden),) = truth.hidden
    assert target == 0
    assert hidden.sum() == (40 - n_quiet if is_heard else 40)
    if is_heard:
        (event,) = truth.events
        assert event.start_seconds == pytest.approx(20 * FRAME_SECONDS)
        assert event.end_seconds == pytest.approx(60 * FRAME_SECONDS)  # until it is really over


def test_events_come_by_their_start_and_strangers_have_none():
    sounds = [
        placed(10, 60, target=1, clip=0),
        placed(10, 5, target=2, clip=1),
        placed(10, 30, target=-1, clip=2),
    ]
    truth = tell_truth(CONFIG, sounds, background(CONFIG.n_frames))
    assert [event.target for event in truth.events] == [2, 1]
    assert truth.clips == [0, 1]


def test_no_reverberation_comes_before_its_sound():
    sounds = [placed(20, 60)]
    silence = np.zeros(CONFIG.n_samples, np.float32)
    for seconds in (1.0, 8.0):
        config = CONFIG.replace(t60_seconds=(seconds, seconds), reverb_share=1.0, device_share=0.0)
        rng = np.random.default_rng(0)
        waveform = mix(config, rng, sounds, silence, is_clip=False)
        before = waveform[: 60 * HOP]
        assert np.abs(before).max() < 1e-4 * np.abs(waveform).max()
        assert np.abs(waveform[85 * HOP :]).max() > 1e-2 * np.abs(waveform).max()  # there is a room
