from __future__ import annotations

import numpy as np
import pytest
import torch

from soundsep import (
    Classifier,
    ClassifierConfig,
    ConfigError,
    MelConfig,
    Pipeline,
    WeightsError,
)
from soundsep.audio.level import level_db
from soundsep.classifier import scoring
from soundsep.classifier.audible import clip_windows
from soundsep.classifier.scoring import score_waveforms, score_windows
from soundsep.frontends import KaldiMelConfig

LABELS = ("dog", "rain", "siren")


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ClassifierConfig(
            labels=LABELS,
            network="resnet18",
            frontend=MelConfig(n_mels=16),
            window_seconds=1.0,
            hop_seconds=0.5,
        )
        classifier = Classifier(config)
        with torch.no_grad():  # a fresh network answers every clip alike
            classifier.network.head.weight.mul_(20)
    return Pipeline(classifier)


def noise(seconds: float, seed: int = 0, gain: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    samples = gain * rng.standard_normal(int(16_000 * seconds))
    return np.cumsum(samples) * 0.01 if seed % 2 else samples


def test_an_answer_that_is_no_number_is_an_error():
    config = ClassifierConfig(labels=LABELS, network="cnn4", window_seconds=1.0, hop_seconds=1.0)
    broken = Classifier(config)
    with torch.no_grad():
        broken.network.head.weight.fill_(1e38)
    with pytest.raises(WeightsError, match="NaN"):
        Pipeline(broken)(noise(1))
    with pytest.raises(WeightsError, match="NaN"):
        list(Pipeline(broken).events(noise(1)))


def test_shifts_of_a_window_are_averaged(pipe):
    """The end of the window comes to its front, in four equal steps."""
    clip = torch.from_numpy(noise(1)).float()
    with torch.no_grad():
        each = pipe.classifier.predict(torch.stack([clip.roll(4_000 * i) for i in range(4)]))
    assert (each[1:] - each[0]).abs().max() > 1e-3
    found = pipe(clip, sample_rate=16_000, n_shifts=4, batch_size=3).predictions
    expected = dict(zip(LABELS, each.mean(dim=0).tolist(), strict=True))
    assert {p.label: p.score for p in found} == pytest.approx(expected, abs=1e-5)


def test_with_sigmoid_a_clip_has_the_score_of_its_best_window_over_the_mean_of_its_shifts():
    class First(Classifier):
        """The score is the first sample of the window."""

        def predict(self, waveform: torch.Tensor) -> torch.Tensor:
            return waveform[:, :1]

    config = ClassifierConfig(
        labels=("a",),
        network="cnn4",
        frontend=MelConfig(n_mels=16),
        activation="sigmoid",
        window_seconds=1.0,
        hop_seconds=1.0,
    )
    windows = torch.zeros(2, 16_000)
    windows[0, [0, 8_000]] = torch.tensor([0.9, 0.1])
    windows[1, [0, 8_000]] = torch.tensor([0.5, 0.7])
    other = [torch.full((16_000,), 0.25)]
    clips = [("two", [*windows]), ("one", other), ("none", [])]
    for n_shifts, best in [(1, 0.9), (2, 0.6)]:
        scored = score_windows(First(config), clips, batch_size=3, n_shifts=n_shifts)
        found = {key: scores.tolist() for key, scores in scored}
        assert found == {"two": pytest.approx([best]), "one": [0.25], "none": []}


def test_silent_windows_do_not_count_unless_there_is_no_other(pipe):
    clip = torch.zeros(48_000)
    assert len(clip_windows(pipe.classifier, clip)) == 5  # one each half a second
    clip[40_000:] = torch.from_numpy(noise(0.5)).float()
    (last,) = clip_windows(pipe.classifier, clip)
    assert torch.equal(last, clip[32_000:])


def test_score_waveforms_is_lazy(pipe):
    taken = 0

    def clips():
        nonlocal taken
        for key in "abcdefghij":
            taken += 1
            yield key, torch.from_numpy(noise(1)).float()

    stream = score_waveforms(pipe.classifier, clips(), batch_size=2)
    key, scores = next(stream)
    assert (key, scores.shape) == ("a", (3,))
    assert taken == 2
    assert not torch.is_inference_mode_enabled()
    assert [key for key, _ in stream] == list("bcdefghij")


class Counter(Classifier):
    """Notes how many windows come at once."""

    largest = 0

    def predict(self, waveform: torch.Tensor) -> torch.Tensor:
        self.largest = max(self.largest, len(waveform))
        return waveform.abs().mean(dim=1, keepdim=True)


@pytest.fixture
def counting() -> Pipeline:
    config = ClassifierConfig(
        labels=("a",),
        network="cnn4",
        frontend=MelConfig(n_mels=16),
        window_seconds=1.0,
        hop_seconds=0.25,
    )
    return Pipeline(Counter(config))


@pytest.mark.parametrize(("budget", "largest"), [(2**40, 16), (3.9, 3), (1, 1), (0.1, 1)])
def test_a_batch_has_as_many_windows_as_fit_the_budget(counting, monkeypatch, budget, largest):
    noise = np.random.default_rng(0).standard_normal(16_000 * 12) * 0.1
    expected = counting(noise, sample_rate=16_000)
    size = counting.classifier.config.window_bytes
    monkeypatch.setattr(scoring, "MAX_BATCH_BYTES", int(budget * size))
    for hear in (counting, counting.scores, lambda a, **o: counting([a, a], batch_size=16, **o)):
        counting.classifier.largest = 0
        hear(noise, sample_rate=16_000)
        assert counting.classifier.largest == largest
    assert counting(noise, sample_rate=16_000).score == pytest.approx(expected.score, abs=1e-6)


def test_a_window_that_would_fill_the_memory_is_refused():
    with pytest.raises(ConfigError, match=r"one window of 16 s .* GiB .* hop_length"):
        ClassifierConfig(
            labels=("a",), network="cnn4", frontend=MelConfig(hop_length=1), window_seconds=16.0
        )


@pytest.mark.parametrize("seconds", [0.7, 2.3])
def test_soft_clips_are_raised_by_one_gain_and_events_hear_them_as_they_are(seconds):
    torch.manual_seed(0)
    config = ClassifierConfig(
        labels=LABELS,
        network="resnet18",
        frontend=KaldiMelConfig(),  # whose features depend on the level
        window_seconds=1.0,
        hop_seconds=0.5,
    )
    plain, raising = Classifier(config), Classifier(config.replace(clip_level_db=-30.0))
    with torch.no_grad():
        plain.network.head.weight.mul_(20)
    raising.load_state_dict(plain.state_dict())

    def scores(classifier: Classifier, clip: torch.Tensor) -> dict[str, float]:
        found = Pipeline(classifier)(clip, sample_rate=32_000).predictions
        return {p.label: p.score for p in found}

    clip = 0.3 * torch.randn(round(32_000 * seconds))
    clip[:12_000] *= 0.1  # windows keep their levels among each other
    clip -= clip.mean()
    assert scores(raising, clip) == scores(plain, clip)
    level = level_db(clip, sample_rate=32_000)
    expected = scores(plain, 10 ** ((-30.0 - level) / 20) * clip)
    assert scores(raising, 0.01 * clip) == pytest.approx(expected, abs=1e-5)
    assert scores(raising, 0.01 * clip - 0.05) == pytest.approx(expected, abs=1e-3)  # an offset
    assert scores(plain, 0.01 * clip) != pytest.approx(expected, abs=1e-3)
    heard, as_it_is = (
        Pipeline(c).scores(0.01 * clip, sample_rate=32_000).values for c in (raising, plain)
    )
    assert np.array_equal(heard, as_it_is)
