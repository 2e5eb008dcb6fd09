from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from soundsep.audio import StreamingResampler, resample
from soundsep.audio.polyphase import N_ZEROS, _low_pass, polyphase

RATES = [
    (160, 441),
    (320, 441),
    (1, 3),
    (2, 3),
    (2, 1),
    (1, 2),
    (640, 441),
    (33, 7),
    (1, 40),
    (1009, 997),
]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def direct(signal: np.ndarray, up: int, down: int) -> np.ndarray:
    """Zeros between the samples, the filter, every ``down``-th of that; in float64."""
    stuffed = np.zeros(len(signal) * up)
    stuffed[::up] = signal
    taps = _low_pass(max(up, down)).astype(np.float64) * up
    half = N_ZEROS * max(up, down)
    n = -(-len(signal) * up // down)
    whole = fftconvolve(stuffed, taps)
    return np.pad(whole, (0, n * down))[half::down][:n]


@pytest.mark.parametrize(("up", "down"), RATES)
@pytest.mark.parametrize("n_samples", [1, 50, 3_000])
def test_it_is_the_filter_as_it_is_defined(up, down, n_samples):
    signal = noise(n_samples)
    np.testing.assert_allclose(
        polyphase(up, down)(signal), direct(signal, up, down), atol=2e-6, rtol=0
    )


@pytest.mark.parametrize(("up", "down"), [(160, 441), (2, 1), (1009, 997)])
def test_a_signal_does_not_hear_the_other_channels(up, down):
    signals = noise(2, 3, 5_000)
    signals[1, 2] = 0
    together = polyphase(up, down)(signals)
    assert together.shape == (2, 3, -(-5_000 * up // down))
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(together[i, j], polyphase(up, down)(signals[i, j]))
    assert not together[1, 2].any()
    for strided in (signals[..., ::2], np.asfortranarray(signals)[..., ::2]):
        expected = polyphase(up, down)(strided.copy())
        np.testing.assert_array_equal(polyphase(up, down)(strided), expected)


@pytest.mark.parametrize("shape", [(0,), (0, 5), (2, 0)])
def test_nothing_becomes_nothing(shape):
    out = resample(torch.empty(shape), 44_100, 16_000)
    assert out.shape == (*shape[:-1], -(-shape[-1] * 160 // 441))


@pytest.mark.parametrize(
    ("given", "target"),
    [(44_100, 32_000), (48_000, 32_000), (22_050, 32_000), (16_000, 32_000), (32_000, 16_000)],
)
def test_bands_of_common_rates_are_the_documented_ones(given, target):
    nyquist = min(given, target) / 2
    times = np.arange(given // 2) / given

    def level_db(hz: float) -> float:
        tone = np.sin(2 * np.pi * hz * times)
        out = resample(torch.from_numpy(tone), given, target)[500:-500]
        return 20 * float(torch.log10(out.square().mean().sqrt() * 2**0.5))

    assert all(abs(level_db(share * nyquist)) < 0.2 for share in (0.05, 0.5, 0.85))
    if target < given:
        assert all(level_db(share * nyquist) < -60 for share in (1.03, 1.2, 0.99 * given / target))
    else:  # the tone's image above the old Nyquist frequency
        tone = np.sin(2 * np.pi * 0.8 * nyquist * times)
        out = resample(torch.from_numpy(tone), given, target).numpy()[500:-500]
        spectrum = np.abs(np.fft.rfft(out * np.blackman(len(out)))) ** 2
        hz = np.fft.rfftfreq(len(out), 1 / target)
        assert spectrum[hz > 1.03 * nyquist].max() < 1e-6 * spectrum.max()


def test_a_block_with_a_period_of_its_own_is_the_whole():
    signal = torch.from_numpy(noise(3 * 11_127))
    resampler = StreamingResampler(11_127, 32_000)
    joined = torch.cat([*(resampler.push(b) for b in signal.split(11_127)), resampler.flush()])
    torch.testing.assert_close(joined, resample(signal, 11_127, 32_000), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("up", "down"), [(2**15 - 1, 2**15), (2**15, 33), (33, 2**15), (1, 1000)])
def test_filters_of_absurd_ratios_stay_small(up, down):
    blocks = {id(block.matrix): block.matrix for block in polyphase(up, down).blocks}
    assert sum(matrix.nbytes for matrix in blocks.values()) < 12 * 2**20


@pytest.mark.parametrize(
    ("given", "target"), [(16_000, 32_000), (44_100, 16_000), (48_000, 44_100)]
)
@pytest.mark.parametrize("n_samples", [100, 50_000])
def test_an_offset_goes_through_without_clicks(given, target, n_samples):
    sound = torch.from_numpy(noise(2, n_samples)) * 1e-3
    expected = resample(sound, given, target)
    out = resample(sound + torch.tensor([[0.9], [0.0]]), given, target)
    # Of the sound itself both ends are cut off in the same way, but for the level they begin at.
    torch.testing.assert_close(out[0] - 0.9, expected[0], atol=1.2e-3, rtol=0)
    torch.testing.assert_close(out[0, 60:-60] - 0.9, expected[0, 60:-60], atol=1e-6, rtol=0)
    assert out[1].equal(expected[1])  # as if the other were not there


def test_an_offset_in_blocks_is_the_one_in_the_whole():
    waveform = torch.from_numpy(noise(2, 30_000)) * 1e-2
    waveform[0] += 0.5
    resampler = StreamingResampler(44_100, 16_000)
    joined = torch.cat([*map(resampler.push, waveform.split(700, -1)), resampler.flush()], dim=-1)
    assert joined.equal(resample(waveform, 44_100, 16_000))
    again = torch.cat((resampler.push(0 * waveform), resampler.flush()), dim=-1)
    assert not again.any()  # the offset is that of each waveform


@pytest.mark.parametrize("offset", [0.0, 1e-4])
def test_without_an_offset_it_is_the_filter_alone(offset):
    waveform = noise(50_000) * 1e-2 + np.float32(offset)
    out = resample(torch.from_numpy(waveform), 44_100, 16_000).numpy()
    np.testing.assert_array_equal(out, polyphase(160, 441)(waveform))
