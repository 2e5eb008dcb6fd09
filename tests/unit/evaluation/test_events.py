from __future__ import annotations

import pytest
import torch

from soundsep import Event
from soundsep.datasets import SoundscapeConfig, Soundscapes, true_events
from soundsep.errors import ConfigError, DatasetError
from soundsep.evaluation import events, measure_events
from soundsep.pipeline import Scores

RATE = 16_000
LABELS = ("dog", "rain", "siren")
CONFIG = SoundscapeConfig(seconds=20.0, sounds_per_minute=20.0, silent_share=1.0, reverb_share=0.0)


def clip(seed: int) -> torch.Tensor:
    return 0.1 * torch.randn(2 * RATE, generator=torch.Generator().manual_seed(seed))


def scenes(config: SoundscapeConfig = CONFIG, n_scenes: int = 3) -> Soundscapes:
    return Soundscapes(
        [(clip(k), k) for k in range(len(LABELS))], n_scenes=n_scenes, seed=1, config=config
    )


class Oracle:
    """A pipeline that knows the truth of the scenes, give or take a shift."""

    labels = (*LABELS, "cat")

    def __init__(self, made: Soundscapes, shift: float = 0.0, label: str | None = None) -> None:
        self.answers = [true_events(made[i], LABELS) for i in range(len(made))]
        self.waveforms = [made[i].waveform for i in range(len(made))]
        self.shift, self.label, self.options = shift, label, {}

    def of(self, waveform: torch.Tensor) -> list[Event]:
        (index,) = (i for i, w in enumerate(self.waveforms) if torch.equal(w, waveform))
        return [
            Event(
                e.start_seconds + self.shift, e.end_seconds + self.shift, self.label or e.label, 1
            )
            for e in self.answers[index]
        ]

    def events(self, waveform, *, sample_rate, **options):
        assert sample_rate == RATE
        self.options = options
        yield from self.of(waveform)

    def scores(self, waveform, *, sample_rate, **options):
        self.options_of_scores = options
        values = torch.zeros(200, len(self.labels))
        for e in self.of(waveform):
            first, last = round(e.start_seconds * 10), round(e.end_seconds * 10)
            values[first:last, self.labels.index(e.label)] = 0.9
        return Scores(
            values=values,
            start_seconds=torch.arange(200, dtype=torch.float64) / 10,
            labels=self.labels,
            window_seconds=0.1,
            hop_seconds=0.1,
            duration_seconds=20.0,
        )


@pytest.mark.usefixtures("sed_scores_eval")
def test_the_truth_is_perfect():
    made = scenes()
    metrics = measure_events(Oracle(made), made, LABELS, psds=True)
    assert metrics.collar.n_true >= 9
    assert metrics.hours == pytest.approx(1 / 60)
    assert metrics.collar.f1 == metrics.collar_200ms.f1 == metrics.overlap.f1 == 1
    assert (metrics.labels.f1, metrics.error_rate, metrics.spurious_per_hour) == (1, 0, 0)
    assert (metrics.psds1, metrics.psds2) == pytest.approx((1, 1), abs=0.02)


def test_a_shift_of_half_a_second_is_within_1_s_alone():
    made = scenes()
    metrics = measure_events(Oracle(made, shift=0.5), made, LABELS)
    assert (metrics.collar.f1, metrics.collar_200ms.f1, metrics.overlap.f1) == (1, 0, 1)
    assert metrics.psds1 is None


def test_a_wrong_label_is_a_substitution():
    made = scenes()
    metrics = measure_events(Oracle(made, label="cat"), made, LABELS)
    assert (metrics.collar.f1, metrics.labels.f1, metrics.error_rate) == (0, 0, 1)
    assert metrics.spurious_per_hour == pytest.approx(metrics.collar.n_true * 60)


def test_options_are_passed_on():
    made = scenes()
    oracle = Oracle(made)
    measure_events(oracle, made, LABELS, threshold=0.3, batch_size=4)
    assert oracle.options == {"threshold": 0.3, "batch_size": 4, "progress": False}


@pytest.mark.usefixtures("sed_scores_eval")
def test_polyphonic_scores_are_those_of_the_same_step():
    made = scenes()
    oracle = Oracle(made)
    measure_events(oracle, made, LABELS, psds=True, hop_seconds=0.5)
    assert oracle.options["hop_seconds"] == oracle.options_of_scores["hop_seconds"] == 0.5


@pytest.mark.usefixtures("sed_scores_eval")
def test_a_scene_of_digital_silence_holds_nothing():
    quiet = scenes(SoundscapeConfig(seconds=2.0, n_sounds=(1.0,), silent_share=1.0))
    metrics = measure_events(Oracle(quiet), quiet, LABELS)
    assert (metrics.overlap.n_true, metrics.overlap.n_found, metrics.overlap.f1) == (0, 0, 1)
    with pytest.raises(ConfigError, match="the recordings have none"):
        measure_events(Oracle(quiet), quiet, LABELS, psds=True)


def test_no_scenes_and_unknown_labels_are_refused():
    with pytest.raises(DatasetError, match="no scenes"):
        measure_events(Oracle(scenes()), scenes(n_scenes=0), LABELS)
    with pytest.raises(DatasetError, match=r"knows no label 'whale'; it knows dog"):
        measure_events(Oracle(scenes()), scenes(), ("dog", "rain", "whale"))


def test_a_silent_scene_counts_in_the_hours_of_psds(monkeypatch):
    """One default scene in a hundred is silent; without it, false alarms seem more frequent."""
    heard = []
    monkeypatch.setattr(events, "import_sed_scores_eval", lambda: None)
    monkeypatch.setattr(
        events, "polyphonic_scores", lambda tables: heard.extend(tables) or (0.5, 0.25)
    )
    config = CONFIG.replace(sounds_per_minute=None, n_sounds=(0.5, 0.5), stranger_share=0.0)
    made = scenes(config, n_scenes=8)
    silent = [i for i in range(8) if not made[i].waveform.any()]
    assert 0 < len(silent) < 8
    assert measure_events(Oracle(made), made, LABELS, psds=True).psds2 == 0.25
    assert sum(scores.duration_seconds for scores, _ in heard) == pytest.approx(8 * 20.0)
    for index in silent:
        scores, truth = heard[index]
        assert truth == []
        assert scores.edges_seconds.tolist() == [0.0, 20.0]
        assert not scores.values.any()
