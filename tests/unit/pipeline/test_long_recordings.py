"""Events, scores and clips of a classifier that answers for every frame."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from soundsep import Classifier, ClassifierConfig, ConfigError, Event, MelConfig, Pipeline, plots
from soundsep.frontends import KaldiMelConfig

RATE, FRAME_SECONDS, FRAME = 2_000, 0.16, 320
TONES_HZ = {"low": 200, "middle": 460, "high": 820}
HALF = FRAME_SECONDS / 2 + 1e-9


class FrameTones(Classifier):
    """The score of a label is the share of the frame in which its tone sounds, times 0.9."""

    def frame_scores(self, waveform: Tensor) -> Tensor:
        padded = nn.functional.pad(waveform, (FRAME // 2, FRAME // 2 + FRAME - 1), mode="reflect")
        chunks = padded.unfold(-1, 20, 20)
        phase = 2 * torch.pi * torch.tensor([*TONES_HZ.values()])[:, None] * torch.arange(20) / RATE
        level = (chunks @ phase.cos().T).square() + (chunks @ phase.sin().T).square()
        sounding = 0.9 * (level > 4).float()  # a tenth of the tones' own level
        return sounding.transpose(1, 2).unfold(-1, 16, 16).mean(dim=-1).transpose(1, 2)

    def predict(self, waveform: Tensor) -> Tensor:
        return self.frame_scores(waveform).amax(dim=1)


@functools.cache
def pipe(**settings) -> Pipeline:
    options = {name: settings.pop(name) for name in ("unknown", "silence_db") if name in settings}
    config = ClassifierConfig(
        labels=tuple(TONES_HZ),
        network="mn04-frames",
        frontend=KaldiMelConfig(
            sample_rate=RATE, n_fft=64, win_length=50, hop_length=20, n_mels=128, f_max=1_000.0
        ),
        activation="sigmoid",
        **settings,
    )
    return Pipeline(FrameTones(config), **options)


def recording(seconds: float, planted, gain: float = 0.3) -> np.ndarray:
    """Faint noise with a tone for each (label, start, end)."""
    n = round(seconds * RATE)
    samples = np.random.default_rng(0).standard_normal(n).astype(np.float32) * 1e-3
    for label, start, end in planted:
        time = np.arange(round(start * RATE), round(end * RATE)) / RATE
        tone = gain * np.sin(2 * np.pi * TONES_HZ[label] * time)
        samples[round(start * RATE) : round(end * RATE)] += tone.astype(np.float32)
    return samples


PLANTED = [
    ("low", 3.0, 4.2),
    ("high", 3.5, 9.1),  # over the others, and over the ends of windows
    ("middle", 4.4, 5.0),
    ("low", 8.0, 8.7),
    ("middle", 21.3, 25.0),  # until the end
]


def within_half_a_frame(event: Event, planted: tuple[str, float, float]) -> bool:
    label, start, end = planted
    return (
        event.label == label
        and abs(event.start_seconds - start) <= HALF
        and abs(event.end_seconds - end) <= HALF
    )


def test_events_begin_and_end_with_their_frames_and_overlap():
    events = list(pipe().events(recording(25, PLANTED), sample_rate=RATE))
    assert len(events) == len(PLANTED)
    assert all(map(within_half_a_frame, events, PLANTED))
    assert events[-1].end_seconds == 25
    assert all(event.score > 0.85 for event in events)


@pytest.mark.parametrize("size", [1, 777, 12_345])
@pytest.mark.parametrize("hop_seconds", [None, 2.0])
def test_a_stream_gives_the_events_of_the_whole(size, hop_seconds):
    audio = recording(25, PLANTED)[: 50 * RATE if size > 1 else 6 * RATE]
    whole = list(pipe().events(audio, sample_rate=RATE, hop_seconds=hop_seconds))
    stream = pipe().stream(hop_seconds=hop_seconds)
    events = [
        event for block in torch.from_numpy(audio).split(size) for event in stream.push(block)
    ]
    assert sorted(events + stream.flush(), key=lambda event: event.start_seconds) == whole
    assert whole


def test_the_last_events_of_a_stream_come_by_their_start():
    stream = pipe().stream(merge_gap_seconds=0)
    assert stream.push(recording(10, [("low", 0, 10), ("high", 5, 9.7)])) == []
    assert [event.label for event in stream.flush()] == ["low", "high"]


def test_the_median_drops_what_is_shorter_and_bridges_what_is():
    audio = recording(25, [("low", 4.88, 5.04), ("high", 10.0, 11.92), ("high", 12.08, 14.0)])
    plain = pipe(median_seconds=0.0)
    events = list(plain.events(audio, sample_rate=RATE, merge_gap_seconds=0))
    assert [event.label for event in events] == ["low", "high", "high"]
    (event,) = pipe().events(audio, sample_rate=RATE, merge_gap_seconds=0)
    assert within_half_a_frame(event, ("high", 10.0, 14.0))
    own = pipe(median_seconds=(0.0, 0.5, 0.5))  # of one label none
    events = list(own.events(audio, sample_rate=RATE, merge_gap_seconds=0))
    assert [event.label for event in events] == ["low", "high"]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(("n_between", "n_events"), [(6, 1), (7, 2)])
def test_by_default_a_second_is_bridged_and_no_event_is_too_short(n_between, n_events, live):
    ends = 4.88, 5.04  # of one frame
    next_start = ends[1] + n_between * FRAME_SECONDS
    audio = recording(10, [("low", *ends), ("low", next_start, next_start + FRAME_SECONDS)])
    plain = pipe(median_seconds=0.0)
    if live:
        stream = plain.stream()
        events = stream.push(audio) + stream.flush()
    else:
        events = list(plain.events(audio, sample_rate=RATE))
    assert len(events) == n_events
    assert events[0].start_seconds == pytest.approx(ends[0])
    assert events[-1].end_seconds == pytest.approx(next_start + FRAME_SECONDS)


@pytest.mark.parametrize(
    ("stated", "n_frames"),
    [(0.9, 1), (1, 1), (1.9, 1), (2.1, 3), (3, 3), (3.9, 3), (4.1, 5), (5, 5), (7, 7)],
)
def test_a_median_of_n_frames_drops_what_is_in_fewer_than_half_of_them(stated, n_frames):
    """It has the odd number of frames that is nearest to the seconds stated."""
    least = n_frames // 2 + 1
    smooth = pipe(median_seconds=stated * FRAME_SECONDS)
    for length, labels in ((least, ["low"]), (least - 1, [])):
        sound = ("low", 4.88, 4.88 + length * FRAME_SECONDS)  # from the edge of a frame on
        audio = recording(10, [sound] * (length > 0))
        assert [event.label for event in smooth.events(audio, sample_rate=RATE)] == labels


def test_a_median_repeats_the_last_frame():
    smooth = pipe(median_seconds=3 * FRAME_SECONDS)
    audio = recording(10, [("low", 9.84, 10.0)])  # the last frame alone
    (event,) = smooth.events(audio, sample_rate=RATE)
    assert within_half_a_frame(event, ("low", 9.84, 10.0))


def test_each_label_has_its_threshold_unless_one_is_given():
    audio = recording(25, [("low", 5.0, 7.0), ("high", 10.0, 12.0)])
    strict = pipe(thresholds=(0.95, 0.5, 0.5))
    assert [event.label for event in strict.events(audio, sample_rate=RATE)] == ["high"]
    assert strict(audio, sample_rate=RATE).labels == ("high",)
    events = list(strict.events(audio, sample_rate=RATE, threshold=0.8))
    assert [event.label for event in events] == ["low", "high"]
    assert list(pipe().events(audio, sample_rate=RATE, threshold=0.95)) == []
    own = list(strict.events(audio, sample_rate=RATE, threshold={"high": 0.8}))
    assert [event.label for event in own] == ["high"]  # the others keep those of the model
    own = list(strict.events(audio, sample_rate=RATE, threshold={"low": 0.8, "high": 0.95}))
    assert [event.label for event in own] == ["low"]


def test_labels_thresholds_of_some_and_a_least_score():
    audio = recording(25, [("low", 5.0, 7.0), ("high", 10.0, 12.0)])

    def heard(**options) -> list[str]:
        stream = pipe().stream(**options)
        events = stream.push(audio) + stream.flush()
        assert list(pipe().events(audio, sample_rate=RATE, **options)) == events
        return [event.label for event in events]

    assert heard(labels=["high"]) == heard(labels={"high", "middle"}) == ["high"]
    assert heard(labels=[]) == []
    assert heard(threshold={"low": 0.95}) == ["high"]
    assert heard(threshold={"low": 0.95, "high": 0.8}) == ["high"]
    assert heard(threshold={}) == heard(min_score=0.85) == ["low", "high"]
    assert heard(min_score=0.95) == []
    stream = pipe().stream(keep_scores=True, min_score=0.95)
    stream.push(audio)
    stream.flush()
    assert stream.scores().is_known.any()  # for it is not a matter of the scores


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["lwo"]}, "did you mean 'low'"),
        ({"labels": "low"}, "list or a set"),
        ({"threshold": {"lwo": 0.5}}, "did you mean 'low'"),
        ({"threshold": {"low": 0}}, "above 0"),
        ({"threshold": (0.5, 0.5)}, "threshold must be a number"),
        ({"threshold": {"low": "0.5"}}, "threshold"),
        ({"min_score": 1.5}, "from 0 to 1"),
        ({"min_score": "high"}, "min_score"),
    ],
)
def test_what_is_no_label_and_no_score_is_refused_at_once(options, message):
    for hear in (pipe().stream, lambda **o: pipe().events("missing.wav", **o)):
        with pytest.raises(ConfigError, match=message):
            hear(**options)


def test_unknown_holds_in_events_streams_and_scores():
    audio = recording(25, [("low", 5.0, 7.0)])
    for unknown_below, n_events in ((0.85, 1), (0.95, 0)):
        doubting = pipe(unknown_below=unknown_below, unknown=True)
        assert len(list(doubting.events(audio, sample_rate=RATE))) == n_events
        stream = doubting.stream(keep_scores=True)
        assert len(stream.push(audio) + stream.flush()) == n_events
        assert bool(stream.scores().is_known.any()) == bool(n_events)
        scores = doubting.scores(audio, sample_rate=RATE)
        assert bool(scores.is_known.any()) == bool(n_events)
        assert scores["low"].max() > 0.85  # the scores themselves stay
        assert (doubting(audio, sample_rate=RATE).label == "low") == bool(n_events)
        strict = doubting.events(audio, sample_rate=RATE, min_score=0.95)  # the higher one counts
        assert list(strict) == []
        trusting = pipe(unknown_below=unknown_below)
        assert len(list(trusting.events(audio, sample_rate=RATE))) == 1
        assert trusting.scores(audio, sample_rate=RATE).is_known.any()


def test_what_is_softer_than_the_silence_gate_is_not_heard():
    audio = recording(25, [("low", 5.0, 20.0)])  # -13.5 dBFS where the tone fills the window
    for silence_db, n_events in ((-14.0, 1), (-13.0, 0)):
        gated = pipe(silence_db=silence_db)
        assert len(list(gated.events(audio, sample_rate=RATE))) == n_events
        scores = gated.scores(audio, sample_rate=RATE)
        assert bool(scores.is_known.any()) == bool(n_events)
        stream = gated.stream()
        assert len(stream.push(audio) + stream.flush()) == n_events


def test_scores_have_a_row_for_each_frame():
    scores = pipe().scores(recording(5.1, [("low", 1.0, 2.0)]), sample_rate=RATE)
    assert scores.values.shape == (32, 3)
    assert scores.window_seconds == scores.hop_seconds == FRAME_SECONDS
    starts = [0, *(np.arange(31) * 0.16 + 0.08)]
    np.testing.assert_allclose(scores.start_seconds, starts)
    np.testing.assert_allclose(scores.edges_seconds, [*starts, 5.1])
    np.testing.assert_allclose(scores.spans_seconds[:, 1], [*starts[1:], 5.1])
    assert "32 frames x 3 labels" in repr(scores)
    times = scores.start_seconds[scores["low"] > 0.45]
    assert (times[0].item(), times[-1].item()) == pytest.approx((1.04, 1.84))


@pytest.mark.parametrize("skipped_seconds", [0.01, 15])
def test_rows_do_not_reach_over_a_gap(skipped_seconds, tmp_path):
    audio = recording(10, [("low", 8.0, 10.0)])
    stream = pipe().stream(keep_scores=True)
    events = stream.push(audio) + stream.skip(round(skipped_seconds * RATE))
    events += stream.push(audio) + stream.flush()
    after = 10 + skipped_seconds
    assert [event.end_seconds for event in events] == [10, stream.duration_seconds]
    scores = stream.scores()
    spans = scores.spans_seconds
    assert len(spans) == 2 * 63
    assert spans[[0, 62, 63, -1]].flatten().tolist() == pytest.approx(
        [0, 0.08, 9.84, 10, after, after + 0.08, after + 9.84, after + 10]
    )
    assert (spans[:, 1] > spans[:, 0]).all()
    assert (spans[1:, 0] >= spans[:-1, 1]).all()
    assert torch.equal(scores.edges_seconds[:-1], spans[:, 0])
    figure = plots.plot_scores(scores, path=tmp_path / "scores.png")
    (mesh,) = figure.axes[0].collections
    assert mesh.get_array().shape == (3, 2 * 63 + 1)  # an empty column for the gap


@pytest.mark.parametrize("rate", [RATE, 7_350, 44_100])
def test_no_event_reaches_beyond_the_last_sample(rate):
    time = np.arange(10 * rate + 1) / rate
    tone = np.sin(2 * np.pi * TONES_HZ["low"] * time).astype(np.float32)
    for end in (lambda stream: stream.skip(5), lambda stream: stream.flush()):
        stream = pipe().stream(sample_rate=rate)
        (event,) = stream.push(0.3 * tone) + end(stream)
        assert event.end_seconds == len(tone) / rate


def test_a_recording_of_several_windows_has_the_labels_of_all():
    audio = recording(60, [("low", 5.0, 6.0), ("high", 30.0, 30.5)])
    result = pipe()(audio, sample_rate=RATE, top_k=1)
    assert set(result.labels) == {"low", "high"}
    assert result.label == result.labels[0]
    assert len(result.predictions) == 1
    quiet = pipe()(recording(60, []), sample_rate=RATE)
    assert (quiet.label, quiet.labels, quiet.is_known) == (None, (), False)
    assert len(quiet.predictions) == 3


def test_a_short_recording_has_frames_too():
    audio = recording(1.0, [("low", 0.0, 1.0)])
    assert pipe().scores(audio, sample_rate=RATE).values.shape == (7, 3)
    (event,) = pipe().events(audio, sample_rate=RATE)
    assert (event.start_seconds, event.end_seconds) == (0, 1)


@pytest.fixture(scope="module")
def network() -> Classifier:
    """`mn04-frames` with random weights whose scores tell inputs and frames apart."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ClassifierConfig(
            labels=("a", "b", "c"),
            network="mn04-frames",
            frontend=KaldiMelConfig(
                sample_rate=16_000, n_fft=512, win_length=400, hop_length=160, level_db=23.5
            ),
            activation="sigmoid",
            window_seconds=2.0,
            hop_seconds=1.0,
        )
        model = Classifier(config)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0  # one batch gives statistics that fit the features
        model(sound(4, 20_000) * torch.logspace(-4, 0, 4).unsqueeze(1))
        nn.init.normal_(model.network.head.weight, std=0.02)
    return model.eval()


def sound(*shape: int) -> Tensor:
    """Noise that swells and fades every second."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    return 0.05 * noise * (1.1 + (torch.arange(shape[-1]) / 2_500).sin())


def test_frame_logits_have_the_documented_shape(network):
    assert network.frame_seconds == 0.16
    with torch.inference_mode():
        logits = network.frame_logits(sound(2, 80_000))
        assert logits.shape == (2, 32, 3)
        # What the whole does not hold is not in its frames.
        expected = (logits.sigmoid() * network.predict(sound(2, 80_000))[:, None]).sqrt()
        torch.testing.assert_close(network.frame_scores(sound(2, 80_000)), expected)
    assert logits.std(dim=1).min() > 1e-3


def test_frames_of_a_network_without_them_are_refused():
    model = Classifier(ClassifierConfig(labels=("a",), network="cnn4", frontend=MelConfig()))
    assert model.frame_seconds is None
    assert model.frame_length is None
    with pytest.raises(ConfigError, match="cnn4"):
        model.frame_logits(torch.zeros(1, 16_000))


@pytest.mark.parametrize("size", [4_001, 50_000])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_any_cutting_and_batch_gives_the_scores_of_the_whole(network, size, batch_size):
    audio, model = sound(100_123), Pipeline(network)
    whole = model.scores(audio, sample_rate=16_000, progress=False)
    stream = model.stream(keep_scores=True, batch_size=batch_size)
    for block in audio.split(size):
        stream.push(block)
    stream.flush()
    torch.testing.assert_close(stream.scores().values, whole.values, atol=1e-5, rtol=0)
    assert torch.equal(stream.scores().spans_seconds, whole.spans_seconds)
    assert whole.values.std(dim=0).min() > 0.01


def test_scores_do_not_depend_on_the_level(network):
    audio, model = sound(70_000), Pipeline(network)
    loud = model.scores(audio, sample_rate=16_000).values
    soft = model.scores(audio / 100, sample_rate=16_000).values
    torch.testing.assert_close(soft, loud, atol=1e-3, rtol=0)
    results = model([audio, audio / 100], sample_rate=16_000)
    scores = [{p.label: p.score for p in result.predictions} for result in results]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_frames_do_not_hear_the_other_clips_of_the_batch(network):
    clips = torch.stack((sound(32_000), 9 * sound(32_000).flip(0), torch.zeros(32_000)))
    with torch.inference_mode():
        together = network.frame_scores(clips)
        for clip, scores in zip(clips, together, strict=True):
            alone = network.frame_scores(clip[None])[0]
            torch.testing.assert_close(alone, scores, atol=1e-5, rtol=0)
