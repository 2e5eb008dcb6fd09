from __future__ import annotations

import io
import re
import zlib
from importlib import resources

import numpy as np
import pytest
import soundfile
import torch

from soundsep.audio import load_audio
from soundsep.pipeline.timeline import Event
from soundsep.plots.bands import mel_centres
from soundsep.report.opus import BYTES_PER_SECOND, opus_bytes
from soundsep.report.spans import Span, choose_spans
from soundsep.report.spectrum import N_BANDS, Spectrum, mel_settings
from soundsep.report.tiles import TILE_COLUMNS, colour_steps, overview, png, tiles


@pytest.mark.parametrize("rate", [8_000, 22_050, 96_000])
def test_opus_sounds_the_same_and_is_the_same_bytes(rate):
    times = torch.arange(rate) / rate
    waveform = 0.3 * torch.sin(2 * torch.pi * 1_000 * times)
    data = opus_bytes(waveform, rate)
    assert data == opus_bytes(waveform, rate)
    heard, heard_rate = load_audio(data)
    spectrum = np.abs(np.fft.rfft(heard.numpy()))
    assert abs(spectrum.argmax() * heard_rate / len(heard) - 1_000) < 3
    assert len(heard) / heard_rate == pytest.approx(1.0, abs=0.01)
    assert soundfile.info(io.BytesIO(data)).subtype == "OPUS"


def test_noise_costs_no_more_than_is_planned():
    noise = 0.3 * torch.randn(480_000, generator=torch.Generator().manual_seed(0))
    assert len(opus_bytes(noise, 48_000)) < 10 * BYTES_PER_SECOND


@pytest.mark.parametrize("rate", [1_000, 8_000, 16_000, 44_100, 250_000, 384_000, 768_000])
def test_every_band_hears_something(rate):
    spectrum = Spectrum(rate, max_columns=64)
    assert (spectrum._filters.sum(0) > 0).all()
    assert spectrum._filters.shape[1] == N_BANDS
    assert (np.diff(mel_centres(mel_settings(rate))) > 0).all()


def test_a_tone_lies_in_its_band_at_its_time():
    rate = 16_000
    samples = torch.zeros(10 * rate)
    times = torch.arange(rate) / rate
    samples[4 * rate : 5 * rate] = torch.sin(2 * torch.pi * 2_000 * times)
    spectrum = Spectrum(rate, max_columns=2_048)
    for block in samples.split(7_777):
        spectrum.push(block)
    levels = spectrum.decibels()
    centres = mel_centres(mel_settings(rate))
    assert centres[levels.max(1).argmax()] == pytest.approx(2_000, rel=0.05)
    loud = np.flatnonzero(levels.max(0) > -40) * spectrum.column_seconds
    assert loud[0] == pytest.approx(4.0, abs=0.1)
    assert loud[-1] == pytest.approx(5.0, abs=0.1)
    assert levels.shape[1] * spectrum.column_seconds == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize("known", [True, False])
def test_a_click_in_a_long_recording_stays(known):
    rate = 8_000
    samples = torch.zeros(300 * rate)
    samples[217 * rate] = 1.0
    spectrum = Spectrum(rate, max_columns=64, duration_seconds=300.0 if known else None)
    for block in samples.split(100_000):
        spectrum.push(block)
    levels = spectrum.decibels()
    assert 32 <= levels.shape[1] <= 64
    loudest = levels.max(0).argmax()
    assert loudest * spectrum.column_seconds <= 217.1
    assert (loudest + 1) * spectrum.column_seconds >= 216.9


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_a_column_shows_what_is_heard_in_its_middle(rate):
    distances = []
    for seconds in np.linspace(1.0, 1.1, 40):
        samples = torch.zeros(2 * rate)
        samples[round(seconds * rate)] = 1.0
        spectrum = Spectrum(rate, max_columns=2_048)
        spectrum.push(samples)
        power = (10 ** (spectrum.decibels() / 10)).sum(0)
        middles = (np.arange(len(power)) + 0.5) * spectrum.column_seconds
        distances.append((power * middles).sum() / power.sum() - seconds)
    assert np.mean(distances) == pytest.approx(0.0, abs=0.05 * spectrum.column_seconds)


@pytest.mark.parametrize("n_samples", [1, 127, 128, 129, 4_000])
def test_columns_reach_the_end(n_samples):
    spectrum = Spectrum(8_000, max_columns=2_048)
    spectrum.push(torch.ones(n_samples))
    n_columns = spectrum.decibels().shape[1]
    assert n_columns == -(-n_samples // round(8_000 * spectrum.column_seconds))


@pytest.mark.parametrize("known", [True, False])
def test_there_are_never_more_columns_than_asked_for_nor_less_than_half(known):
    hop, most = 128, 8
    for n_samples in range(1, 50 * hop, 31):
        duration = n_samples / 8_000 if known else None
        spectrum = Spectrum(8_000, max_columns=most, duration_seconds=duration)
        for block in torch.ones(n_samples).split(1_000):
            spectrum.push(block)
        n_columns = spectrum.decibels().shape[1]
        n_frames = -(-n_samples // hop)
        assert min(n_frames, most / 2) <= n_columns <= most
        assert n_columns == -(-n_samples // round(8_000 * spectrum.column_seconds))


def test_one_sample_has_a_column():
    spectrum = Spectrum(8_000, max_columns=64)
    spectrum.push(torch.ones(1))
    assert spectrum.decibels().shape == (N_BANDS, 1)


def decoded(data):
    """The steps of a picture of `png`, by the format's own rules."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    at = data.index(b"IDAT")
    n = int.from_bytes(data[at - 4 : at], "big")
    rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + n]), np.uint8).reshape(height, -1)
    return np.stack((rows[:, 1:] >> 4, rows[:, 1:] & 15), -1).reshape(height, -1)[::-1, :width]


def test_pictures_hold_every_step():
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 16, (N_BANDS, 2 * TILE_COLUMNS + 5), dtype=np.uint8)
    joined = np.concatenate([decoded(tile) for tile in tiles(steps)], axis=1)
    np.testing.assert_array_equal(joined, steps)
    small, group = overview(steps)
    assert group == 3
    np.testing.assert_array_equal(decoded(small)[:, 0], steps[:, :3].max(1))
    np.testing.assert_array_equal(decoded(png(steps[:, :1])), steps[:, :1])


def test_silence_and_a_bang_leave_the_rest_to_be_seen():
    assert colour_steps(np.full((4, 10), -120.0, np.float32)).max() <= 15
    levels = np.random.default_rng(0).uniform(-60, -20, (96, 4_000)).astype(np.float32)
    levels[:, 7] = 100
    assert np.median(colour_steps(levels)[:, 100:]) >= 4


def test_long_events_are_heard_from_their_start_and_overlaps_once():
    spans = choose_spans(
        {"a": [Event(10.0, 500.0, "rain", 0.9)], "b": []}, margin_seconds=1, max_seconds=100
    )
    assert spans == {"a": [Span(9.0, 39.0)]}
    events = [Event(float(t), t + 1.0, "dog", 0.5) for t in (0, 2, 4)]
    (joined,) = choose_spans({"a": events}, margin_seconds=1, max_seconds=6)["a"]
    assert joined == Span(0, 6.0)


def _luminance(colour: str) -> float:
    """Of #rrggbb, from 0 to 1 (WCAG 2.2)."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_of_events_stand_out_from_the_page_and_from_each_other(theme):
    """3:1 is what WCAG 2.2 asks of graphics (1.4.11)."""
    style = resources.files("soundsep.report").joinpath("page.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", {"light": light, "dark": dark}[theme]))
    events = [colour for name, colour in colours.items() if name.startswith("event-")]
    assert len(events) == 10
    for ground in (colours["back"], colours["tint"]):
        for colour in events:
            low, high = sorted((_luminance(colour), _luminance(ground)))
            assert (high + 0.05) / (low + 0.05) >= 3
    numbers = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in events])
    apart = np.linalg.norm(numbers[:, None] - numbers, axis=-1) + 999 * np.eye(10)
    assert apart.min() > 50  # of 442
