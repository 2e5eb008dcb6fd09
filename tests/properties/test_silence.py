"""One constant value, within a step of 24-bit audio, is silence for all, and more is a sound."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from soundsep import (
    AudioError,
    Classifier,
    ClassifierConfig,
    Pipeline,
    Separator,
    SeparatorConfig,
    SoundsepWarning,
)
from soundsep.audio import resample
from soundsep.audio.silence import is_silent
from soundsep.training.embedding_cache import load_all

RATE = 16_000
STEP = 2.0**-23
OFFSETS = (1e-4, -4e-4, 2e-3, -0.02, 0.3, 0.7, -1.0)
RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000)
SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")


class Halves(nn.Module):
    def forward(self, mixture: Tensor) -> Tensor:
        return torch.stack((mixture, mixture), dim=1) / 2


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    config = ClassifierConfig(
        labels=("a", "b"), network="cnn4", window_seconds=1.0, hop_seconds=1.0
    )
    return Classifier(config).eval()


def recording(path, steps: int):
    """Two seconds in 24 bits that reach so many steps from zero."""
    samples = np.zeros(2 * RATE)
    samples[::7] = steps * STEP
    samples[3::7] = -steps * STEP
    soundfile.write(path, samples, RATE, subtype="PCM_24")
    return path


def test_the_limit_is_one_step():
    assert is_silent(torch.tensor([0.0, STEP, -STEP]))
    assert not is_silent(torch.tensor([STEP, -STEP * (1 + 2**-20)]))


@pytest.mark.parametrize("offset", [0.0, *OFFSETS])
def test_the_limit_is_the_same_around_any_constant(offset):
    steps = torch.tensor([0, 1, 0, -1]).repeat(500) + round(offset / STEP)
    assert is_silent(steps * STEP)
    assert is_silent(torch.stack((steps * STEP, -steps * STEP)))  # each channel has its own
    steps[1_800] += 2
    assert not is_silent(steps * STEP)
    assert not is_silent(torch.stack((torch.full((2_000,), offset), steps * STEP)))
    assert not is_silent(torch.tensor([0, 2.0**-15]).repeat(500) + offset)  # of 16 bits


@pytest.mark.parametrize("n_samples", [2, 1_024, 1_025, 32_000])
def test_one_sample_anywhere_is_sound(n_samples):
    for at in {0, n_samples // 2, n_samples - 1}:
        window = torch.full((2, n_samples), STEP)
        assert is_silent(window)
        window[1, at] = -2 * STEP
        assert not is_silent(window)
        assert is_silent(window, -60.0)  # by its level


def refuse(recording, classifier, **options):
    """Everything that hears a recording says that it is silent."""
    pipe = Pipeline(classifier)
    for answer in (pipe, pipe.scores, lambda *a, **o: [*pipe.events(*a, **o)]):
        with pytest.raises(AudioError, match="digital silence"):
            answer(recording, **options)
    gated = Pipeline(classifier, silence_db=-60.0)
    assert gated(recording, **options).label is None
    assert [*gated.events(recording, **options)] == []
    assert not gated.scores(recording, **options).values.any()


def test_a_pipeline_refuses_what_is_silent(tmp_path, classifier):
    pipe = Pipeline(classifier)
    silent, faint = (recording(tmp_path / f"{n}.wav", n) for n in (1, 2))
    for answer in (
        pipe,
        lambda path: [*pipe.events(path)],
        lambda path: load_all([path], classifier)[path],
    ):
        answer(faint)
        with pytest.raises(AudioError, match="digital silence"):
            answer(silent)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("offset", OFFSETS)
def test_a_constant_is_silence_at_any_rate(rate, offset, classifier):
    samples = np.full(round(2.3 * rate), offset, dtype=np.float32)
    refuse(samples, classifier, sample_rate=rate)
    assert resample(torch.from_numpy(samples), rate, RATE).unique().tolist() == [samples[0]]


@pytest.mark.parametrize("seconds", [0.1, 0.9, 1.0, 2.3])
@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_a_constant_is_silence_at_any_length(seconds, padding, classifier):
    model = Classifier(classifier.config.replace(padding=padding)).eval()
    for offset in OFFSETS:
        refuse(np.full(round(seconds * RATE), offset, np.float32), model, sample_rate=RATE)


@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("offset", OFFSETS)
def test_a_constant_is_silence_in_any_file(tmp_path, subtype, offset, classifier):
    path = tmp_path / "constant.wav"
    stereo = np.full((2 * 22_050, 2), offset) * (1.0, -0.6)
    soundfile.write(path, stereo, 22_050, subtype=subtype)
    refuse(path, classifier)
    with pytest.raises(AudioError, match="digital silence"):
        load_all([path], classifier)


@pytest.mark.parametrize("size", [37, 4_000, 100_000])
@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_a_stream_hears_a_constant_as_the_whole(size, rate, classifier):
    stream = Pipeline(classifier).stream(sample_rate=rate, keep_scores=True)
    for offset in OFFSETS:  # recordings, each with its own
        for block in torch.full((2 * rate,), offset).split(size):
            assert stream.push(block) == []
            assert stream.is_silent
        assert stream.flush() == []
        assert stream.is_silent
    assert not stream.scores().values.any()
    stream.push(torch.tensor([0.1, -0.1] * rate))
    assert not stream.is_silent
    stream.flush()
    stream.push(torch.zeros(rate))
    assert not stream.is_silent


def test_windows_of_a_constant_do_not_count(classifier):
    pipe, offset = Pipeline(classifier), 0.2
    noise = 0.1 * torch.randn(RATE, generator=torch.Generator().manual_seed(0)) + offset
    mixed = torch.cat((torch.full((3 * RATE,), offset), noise, torch.full((RATE,), offset)))
    alone, result = (pipe(w, sample_rate=RATE) for w in (noise, mixed))
    assert result.predictions == alone.predictions
    values = pipe.scores(mixed, sample_rate=RATE).values
    assert values.any(dim=1).tolist() == [False, False, False, True, False]


def test_a_constant_changes_no_neighbour(classifier):
    pipe = Pipeline(classifier)
    noise = (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    constant = np.full(2 * RATE, 0.3, np.float32)
    together = pipe([constant, noise, constant], sample_rate=RATE, errors="return")
    assert together[1] == pipe(noise, sample_rate=RATE)
    assert [bool(r.error) for r in together] == [True, False, True]


@pytest.mark.parametrize("at", [RATE, RATE + 1, RATE + RATE // 2])
def test_a_step_within_a_window_is_a_sound_for_clips_and_for_events(at, classifier):
    pipe, step = Pipeline(classifier), torch.zeros(3 * RATE)
    step[at:] = 0.3
    if at % RATE:
        assert pipe(step, sample_rate=RATE).predictions
        assert pipe.scores(step, sample_rate=RATE).values.any()
    else:
        refuse(step, classifier, sample_rate=RATE)  # each window is one constant value


@pytest.mark.parametrize("offset", [0.0, 0.01, -0.5, 1.0])
@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_the_level_of_silence_is_without_a_constant_offset(offset, rate, classifier):
    noise = torch.randn(3 * rate, generator=torch.Generator().manual_seed(0))
    wave = resample(resample(noise, rate, 8_000), 8_000, rate)  # all of it below both rates' ends
    wave *= 10 ** (-50 / 20) / wave.square().mean().sqrt()
    for silence_db, is_heard in ((-52.0, True), (-48.0, False)):
        pipe = Pipeline(classifier, silence_db=silence_db)
        result = pipe(wave + offset, sample_rate=rate)
        assert bool(result.predictions) == is_heard
        stream = pipe.stream(sample_rate=rate, keep_scores=True)
        for block in (wave + offset).split(999):
            stream.push(block)
        stream.flush()
        found = stream.scores().values
        assert found.any(dim=1).tolist() == [is_heard] * 3
        whole = pipe.scores(wave + offset, sample_rate=rate).values
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)
        assert not stream.is_silent  # it is more than digital silence


def test_a_stream_knows_that_it_is_silent(classifier):
    stream = Pipeline(classifier).stream(sample_rate=RATE)
    stream.push(torch.full((2 * RATE,), STEP))
    assert stream.is_silent
    stream.push(torch.full((1,), -2 * STEP))
    assert not stream.is_silent


def test_a_separator_warns_of_silence_and_of_nothing_else(tmp_path, recwarn):
    config = SeparatorConfig(
        sources=("a", "b"), sample_rate=RATE, n_channels=1, segment_seconds=1.0
    )
    separator = Separator(Halves(), config)
    separator(recording(tmp_path / "faint.wav", 2))
    assert not recwarn
    with pytest.warns(SoundsepWarning, match="digital silence"):
        separator(recording(tmp_path / "silent.wav", 1))


@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize("offset", OFFSETS)
def test_a_separator_gives_silence_for_a_constant(tmp_path, rate, offset):
    config = SeparatorConfig(
        sources=("a", "b"), sample_rate=RATE, n_channels=2, segment_seconds=1.0
    )
    separator = Separator(Halves(), config)
    stereo = torch.full((2, 3 * rate), offset) * torch.tensor([[1.0], [-0.6]])
    with pytest.warns(SoundsepWarning, match="digital silence"):
        assert not separator(stereo, rate).audio.any()
    with pytest.warns(SoundsepWarning, match="digital silence"):
        separator.separate_to_dir(stereo, tmp_path, rate)
