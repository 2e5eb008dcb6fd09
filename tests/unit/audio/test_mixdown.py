from __future__ import annotations

import io
import itertools
import math

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsep import AudioError, ConfigError, load_audio
from soundsep.audio import audio_blocks
from soundsep.audio.mixdown import Mixer, to_mono

RATE = 8_000
CELL = RATE // 4


def noise(n_channels: int, n: int, seed: int = 0) -> np.ndarray:
    samples = 0.3 * np.random.default_rng(seed).standard_normal((n_channels, n))
    return samples.astype(np.float32)


def opposite(n: int, factor: float = -1.0, seed: int = 0) -> np.ndarray:
    left = noise(1, n, seed)[0]
    return np.stack([left, np.float32(factor) * left])


def mono(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    return load_audio(samples, sample_rate=rate)[0].numpy()


def wav(samples: np.ndarray, subtype: str = "FLOAT") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples.T, RATE, format="WAV", subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize("factor", [-1.0, -0.99, -0.9, -0.7, -1.3])
def test_of_channels_that_cancel_the_first_is_heard(factor):
    samples = opposite(3 * CELL + 77, factor)
    np.testing.assert_array_equal(mono(samples), samples[0])


def test_opposite_channels_of_16_bit_are_not_heard_by_their_rounding():
    samples = opposite(3 * CELL)
    data = wav(samples, "PCM_16")
    decoded = load_audio(data, mono=False)[0]
    assert torch.equal(load_audio(data)[0], decoded[0])


@pytest.mark.parametrize(
    "samples",
    [
        noise(2, 20_000),
        noise(16, 20_000),  # unrelated: the mean is 12 dB below them, and nothing cancels
        noise(2, 20_000) * [[1], [0]],
        np.concatenate([noise(1, 20_000), np.zeros((63, 20_000))]),
        opposite(20_000, 0.5),
        opposite(20_000, -0.5),  # what is left is 9 dB below the channels
        np.ones((2, 20_000)) * [[0.5], [-0.5]],
        np.zeros((2, 20_000)),
    ],
    ids=["stereo", "array", "one side", "one of 64", "softer", "-6 dB", "constant", "silence"],
)
def test_channels_that_do_not_cancel_are_averaged(samples):
    samples = samples.astype(np.float32)
    np.testing.assert_array_equal(mono(samples), samples.mean(axis=0))


@pytest.mark.parametrize("beside", [-0.1, -1e-2, -1e-3, -1e-5, 1e-5, 1e-3, 1e-2, 0.1])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-12, 1e-20])
def test_the_border_between_mean_and_first_is_sharp(beside, scale):
    """At a factor f, ((1 + f) / 2) ** 2 * 2 = (1 + f ** 2) / 16."""
    border = (-8 + math.sqrt(15)) / 7
    samples = opposite(3 * CELL, border + beside) * np.float32(scale)
    expected = samples.mean(axis=0) if beside > 0 else samples[0]
    np.testing.assert_array_equal(mono(samples), expected)


def test_a_common_offset_hides_nothing():
    samples = opposite(20_000) + np.float32(0.5)
    np.testing.assert_array_equal(mono(samples), samples[0])


def test_a_channel_that_is_much_softer_than_the_loudest_is_not_chosen():
    left = noise(1, 20_000)[0]
    samples = np.stack([0.01 * noise(1, 20_000, 1)[0], -left, left])
    np.testing.assert_array_equal(mono(samples), samples[1])


def test_where_the_recording_changes_one_is_faded_into_the_other():
    samples = np.concatenate([noise(2, CELL), opposite(CELL, seed=1), noise(2, CELL, 2)], axis=1)
    heard, mean = mono(samples), samples.mean(axis=0)
    fade = RATE // 100
    np.testing.assert_array_equal(heard[:CELL], mean[:CELL])
    np.testing.assert_array_equal(heard[CELL + fade : 2 * CELL], samples[0, CELL + fade : 2 * CELL])
    np.testing.assert_array_equal(heard[2 * CELL + fade :], mean[2 * CELL + fade :])
    weight = np.arange(1, fade + 1) / fade
    for at, new, old in ((CELL, samples[0], mean), (2 * CELL, mean, samples[0])):
        expected = weight * new[at : at + fade] + (1 - weight) * old[at : at + fade]
        np.testing.assert_allclose(heard[at : at + fade], expected, atol=1e-6)


def changing(n: int) -> np.ndarray:
    """Channels that cancel here and there."""
    samples = noise(3, n)
    for at in range(0, n, 3 * CELL):
        samples[1, at : at + CELL + 999] = -samples[0, at : at + CELL + 999]
        samples[2, at : at + CELL + 999] = 0
    return samples


@settings(max_examples=100, deadline=None)
@given(n=st.integers(3, 9 * CELL), cuts=st.lists(st.floats(0, 1), max_size=30))
def test_any_cutting_gives_the_whole_to_the_bit(n, cuts):
    samples = changing(n)
    mixer = Mixer("it", 3, RATE, mono=True, channel=None)
    edges = sorted({0, n, *(round(cut * n) for cut in cuts)})
    for _ in range(2):  # flushed, it begins anew
        parts = [mixer.push(samples[:, a:b]) for a, b in itertools.pairwise(edges)]
        joined = np.concatenate([*parts, mixer.flush()], axis=1)
        np.testing.assert_array_equal(joined[0], mono(samples))
    assert mixer.flush().shape == (1, 0)


@pytest.mark.parametrize("size", [1_001, 12_000, 100_000])
@pytest.mark.parametrize("target", [None, 16_000])
def test_blocks_are_the_whole(size, target):
    samples = changing(10 * CELL + 5)
    for audio in (samples, wav(samples)):
        whole, _ = load_audio(audio, sample_rate=RATE, target_rate=target)
        blocks = audio_blocks(audio, sample_rate=RATE, target_rate=target, block_samples=size)
        joined = torch.cat([*blocks])
        if target is None:
            assert torch.equal(joined, whole)
        else:
            torch.testing.assert_close(joined, whole, atol=1e-6, rtol=0)


def test_a_source_is_mixed_as_its_recording():
    recording, source = opposite(3 * CELL + 9), noise(2, 3 * CELL + 9, 5)
    mixed = to_mono(torch.from_numpy(source), RATE, like=torch.from_numpy(recording))
    np.testing.assert_array_equal(mixed.numpy(), source[0])
    mixed = to_mono(torch.from_numpy(recording), RATE, like=torch.from_numpy(source))
    np.testing.assert_array_equal(mixed.numpy(), recording.mean(axis=0))
    assert to_mono(mixed, RATE) is mixed


def test_a_channel_can_be_chosen():
    samples = noise(3, 20_000)
    for audio in (samples, wav(samples)):
        for channel in (0, 2, np.int64(1)):
            heard, _ = load_audio(audio, sample_rate=RATE, channel=channel)
            assert torch.equal(heard, torch.from_numpy(samples[channel]))
            blocks = audio_blocks(audio, sample_rate=RATE, channel=channel, block_samples=999)
            assert torch.equal(torch.cat([*blocks]), heard)
        several, _ = load_audio(audio, sample_rate=RATE, channel=1, mono=False)
        assert torch.equal(several, torch.from_numpy(samples[1:2]))


def test_a_channel_that_is_not_there_is_refused():
    samples = noise(2, 20_000)
    for audio in (samples, wav(samples)):
        for read in (load_audio, audio_blocks):
            with pytest.raises(AudioError, match=r"2 channels, and no channel 2.*0 to 1"):
                read(audio, sample_rate=RATE, channel=2)
            for channel in (-1, 0.0, "0", True):
                with pytest.raises(ConfigError, match="channel"):
                    read(audio, sample_rate=RATE, channel=channel)
