from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from soundsep import Classifier, ClassifierConfig, ConfigError
from soundsep.classifier.block_scorer import Rows, Window
from soundsep.classifier.scorers import FrameScorer, build_scorer
from soundsep.frontends import KaldiMelConfig

RATE, FRAME = 2_000, 320
SCALE = 2.0**17  # a power of two, so that nothing is rounded
FRONTEND = KaldiMelConfig(
    sample_rate=RATE, n_fft=64, win_length=50, hop_length=20, n_mels=128, f_max=1_000.0
)


class Where(Classifier):
    """Scores of a frame: the sample in its middle, and its place in the window, over `SCALE`."""

    n_windows = 0

    def frame_scores(self, waveform: Tensor) -> Tensor:
        self.n_windows += len(waveform)
        samples = waveform[:, ::FRAME]
        place = (torch.arange(samples.shape[1]) * FRAME).expand_as(samples)
        return torch.stack((samples, place), dim=-1) / SCALE


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
    rows = joined(scorer.push(torch.arange(1.0, n_samples + 1)), scorer.flush())
    return rows, rows.scores


def joined(*parts: Rows) -> Rows:
    rows = Rows.joined(parts, n_labels=2)
    return Rows(rows.starts, rows.ends, rows.scores * SCALE)


LENGTHS = [50, 319, 320, 321, 9_999, 10_000, 10_001, 10_320, 17_999, 18_000, 18_001, 64_123]


@pytest.mark.parametrize("n_samples", LENGTHS)
@pytest.mark.parametrize("hop_seconds", [None, 5.0, 2.5, 0.1])
def test_every_frame_is_given_once_with_its_own_scores(n_samples, hop_seconds):
    rows, scores = heard(where(), n_samples, hop_seconds=hop_seconds)
    n_frames = math.ceil(n_samples / FRAME)
    assert scores[:, 0].tolist() == pytest.approx([i * FRAME + 1 for i in range(n_frames)])
    # A frame speaks for half a frame on either side of its middle.
    assert rows.ends.tolist() == [i * FRAME + FRAME // 2 for i in range(n_frames)]
    assert rows.starts.tolist() == [0, *rows.ends[:-1].tolist()]


def test_a_frame_is_the_mean_over_its_windows_and_most_from_those_it_lies_in_the_middle_of():
    model = where()
    _, scores = heard(model, 60 * RATE)
    # Windows of 31.25 frames begin every 15 frames, and one ends with the recording.
    starts = [*range(0, 344, 15), 344]
    assert model.n_windows == len(starts)
    for frame in range(330):  # before what the last window hears
        places = [frame - start for start in starts if 0 <= frame - start < 31.25]
        weights = [1 - abs(place - 15.625) / 16.625 for place in places]
        mean = sum(p * w for p, w in zip(places, weights, strict=True)) / sum(weights)
        assert scores[frame, 1].item() == pytest.approx(mean * FRAME, rel=1e-5)


def test_the_mean_of_a_stream_is_that_of_the_whole_to_the_bit():
    whole = heard(where(), 20_123)[1]
    scorer = build_scorer(where(), hop_seconds=None, batch_size=1)
    blocks = torch.arange(1.0, 20_124).split(777)
    rows = joined(*(scorer.push(block) for block in blocks), scorer.flush())
    assert torch.equal(rows.scores, whole)


@pytest.mark.parametrize("wait", [False, True])
def test_a_recording_of_one_window_is_heard_once(wait):
    model = where()
    heard(model, 5 * RATE, wait=wait)
    assert model.n_windows == 1


@pytest.mark.parametrize(
    ("hop_seconds", "n_frames"), [(None, 15), (5.0, 31), (0.4, 2), (0.32, 2), (0.01, 1)]
)
def test_the_hop_is_a_whole_number_of_frames(hop_seconds, n_frames):
    scorer = build_scorer(where(), hop_seconds=hop_seconds, batch_size=1)
    assert isinstance(scorer, FrameScorer)
    assert scorer.hop == n_frames * FRAME


def test_short_windows_follow_each_other_by_half_their_frames():
    assert build_scorer(where(1.0), hop_seconds=None, batch_size=1).hop == 3 * FRAME


def test_silent_windows_score_0_in_all_frames():
    model = where()
    scorer = build_scorer(model, hop_seconds=None, batch_size=16)
    rows = joined(scorer.push(torch.zeros(30 * RATE)), scorer.flush())
    assert len(rows) == math.ceil(30 * RATE / FRAME)
    assert not rows.scores.any()
    assert model.n_windows == 0


def test_a_window_shorter_than_a_frame_is_refused():
    with pytest.raises(ConfigError, match="a frame of network"):
        where(0.1)


def test_the_times_of_frames_are_exact_after_hours():
    model = Where(where().config.replace(frontend=FRONTEND.replace(hop_length=21)))
    scorer = build_scorer(model, hop_seconds=None, batch_size=1)
    assert isinstance(scorer, FrameScorer)
    assert model.frame_length == 336
    first = 2**20 + 1
    scorer._n_given = first
    window = Window(start=first * 336, samples=torch.zeros(scorer.window), n_rows=3)
    rows = scorer._rows([window], scorer._silence()[None])
    assert rows.starts.tolist() == [(first + i) * 336 - 168 for i in range(3)]
    assert rows.ends.tolist() == [(first + i) * 336 + 168 for i in range(3)]
