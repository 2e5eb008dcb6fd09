from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from soundsep import Classifier, ClassifierConfig, ConfigError
from soundsep.classifier.scorers import CONTEXT_SECONDS, FrameScorer, build_scorer
from soundsep.frontends import KaldiMelConfig

RATE, FRAME = 2_000, 320
FRONTEND = KaldiMelConfig(
    sample_rate=RATE, n_fft=64, win_length=50, hop_length=20, n_mels=128, f_max=1_000.0
)


class Where(Classifier):
    """Scores of a frame: the sample in its middle, and its place in the window, in samples."""

    n_windows = 0

    def frame_scores(self, waveform: Tensor) -> Tensor:
        self.n_windows += len(waveform)
        samples = waveform[:, ::FRAME]
        place = (torch.arange(samples.shape[1]) * FRAME).expand_as(samples)
        return torch.stack((samples, place), dim=-1)


def where(window_seconds: float = 5.0) -> Where:
    config = ClassifierConfig(
        labels=("sample", "place"),
        network="mn04-frames",
        frontend=FRONTEND,
        activation="sigmoid",
        window_seconds=window_seconds,
        hop_seconds=window_seconds / 2,
    )
    return Where(config)


def heard(model: Classifier, n_samples: int, **options):
    scorer = build_scorer(model, **({"hop_seconds": None, "batch_size": 3} | options))
    rows = scorer.push(torch.arange(1.0, n_samples + 1)) + scorer.flush()
    return rows, torch.stack([row.scores for row in rows])


LENGTHS = [50, 319, 320, 321, 9_999, 10_000, 10_001, 10_320, 17_999, 18_000, 18_001, 64_123]


@pytest.mark.parametrize("n_samples", LENGTHS)
@pytest.mark.parametrize("hop_seconds", [None, 5.0, 2.5, 0.1])
def test_every_frame_is_given_once_with_its_own_scores(n_samples, hop_seconds):
    rows, scores = heard(where(), n_samples, hop_seconds=hop_seconds)
    n_frames = math.ceil(n_samples / FRAME)
    assert scores[:, 0].tolist() == [i * FRAME + 1 for i in range(n_frames)]
    # A frame speaks for half a frame on either side of its middle.
    assert [row.end for row in rows] == [i * FRAME + FRAME // 2 for i in range(n_frames)]
    assert [row.start for row in rows] == [0, *(row.end for row in rows[:-1])]


def test_frames_come_from_the_middle_of_their_window():
    model = where()
    rows, scores = heard(model, 60 * RATE)
    context = CONTEXT_SECONDS * RATE
    inner = [
        place
        for row, place in zip(rows, scores[:, 1].tolist(), strict=True)
        if context < row.start < 60 * RATE - context
    ]
    assert min(inner) >= context
    assert max(inner) <= 5 * RATE - context
    # 14 windows of 4 s that are new, and one that ends with the recording.
    assert model.n_windows == 15


@pytest.mark.parametrize("wait", [False, True])
def test_a_recording_of_one_window_is_heard_once(wait):
    model = where()
    heard(model, 5 * RATE, wait=wait)
    assert model.n_windows == 1


@pytest.mark.parametrize(
    ("hop_seconds", "n_frames"), [(None, 25), (5.0, 31), (0.4, 2), (0.32, 2), (0.01, 1)]
)
def test_the_hop_is_a_whole_number_of_frames(hop_seconds, n_frames):
    scorer = build_scorer(where(), hop_seconds=hop_seconds, batch_size=1)
    assert isinstance(scorer, FrameScorer)
    assert scorer.hop == n_frames * FRAME


def test_short_windows_keep_most_of_their_frames():
    assert build_scorer(where(1.0), hop_seconds=None, batch_size=1).hop == 5 * FRAME


def test_silent_windows_score_0_in_all_frames():
    model = where()
    scorer = build_scorer(model, hop_seconds=None, batch_size=16)
    rows = scorer.push(torch.zeros(30 * RATE)) + scorer.flush()
    assert len(rows) == math.ceil(30 * RATE / FRAME)
    assert not torch.stack([row.scores for row in rows]).any()
    assert model.n_windows == 0


def test_a_window_shorter_than_a_frame_is_refused():
    with pytest.raises(ConfigError, match="a frame of network"):
        where(0.1)
