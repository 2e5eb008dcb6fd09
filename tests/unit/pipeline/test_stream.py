from __future__ import annotations

import csv
import inspect
import io
import itertools
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from soundsep import AudioError, Classifier, ClassifierConfig, ConfigError, MelConfig, Pipeline
from soundsep.pipeline import listen

RATE = 2_000
TONES_HZ = {"low": 200, "middle": 460, "high": 820}


class ToneDetector(Classifier):
    """The score of a label is the share of the window in which its tone sounds."""

    n_batches = 0

    def predict(self, waveform: Tensor) -> Tensor:
        self.n_batches += 1
        frames = waveform.unfold(-1, 100, 100)  # (batch, frames, 100)
        phase = (
            2 * torch.pi * torch.tensor([*TONES_HZ.values()])[:, None] * torch.arange(100) / RATE
        )
        level = (frames @ phase.cos().T).square() + (frames @ phase.sin().T).square()
        return (level > 100).float().mean(dim=1)


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    config = ClassifierConfig(
        labels=tuple(TONES_HZ),
        network="mn04",
        frontend=MelConfig(sample_rate=RATE, f_max=1_000, n_mels=8, n_fft=256, win_length=200),
    )
    return Pipeline(ToneDetector(config))


def recording(seconds: float, planted, rate: int = RATE) -> np.ndarray:
    """Faint noise with a tone for each (label, start, end)."""
    n = round(seconds * rate)
    samples = np.random.default_rng(0).standard_normal(n).astype(np.float32) * 1e-3
    for label, start, end in planted:
        time = np.arange(round(start * rate), round(end * rate)) / rate
        tone = 0.3 * np.sin(2 * np.pi * TONES_HZ[label] * time)
        samples[round(start * rate) : round(end * rate)] += tone.astype(np.float32)
    return samples


def planted_hour() -> list[tuple[str, float, float]]:
    """Sounds of 5 to 40 s, those of a label at least 12 s apart."""
    rng, planted = np.random.default_rng(0), []
    for label in TONES_HZ:
        at = rng.uniform(0, 30)
        while (end := at + rng.uniform(5, 40)) < 3_595:
            planted.append((label, at, end))
            at = end + rng.uniform(12, 120)
    return sorted(planted, key=lambda event: event[1])


@pytest.mark.parametrize(
    ("hop_seconds", "threshold"), [(0.5, 0.25), (1.0, 0.25), (2.5, 0.02), (2.5, 0.25), (2.5, 0.5)]
)
def test_every_planted_event_of_an_hour_is_found_within_a_hop(
    pipe, hop_seconds, threshold, tmp_path
):
    """The threshold is the share of a window that a sound must fill to be noticed."""
    planted = planted_hour()
    assert len(planted) > 100
    path = tmp_path / "hour.flac"
    soundfile.write(path, recording(3_600, planted), RATE)
    found = list(pipe.events(path, hop_seconds=hop_seconds, threshold=threshold))
    starts = [event.start_seconds for event in found]
    assert starts == sorted(starts)
    assert len(found) == len(planted)
    for label, start, end in planted:
        best = min(found, key=lambda e: abs(e.start_seconds - start) + 1e4 * (e.label != label))
        assert abs(best.start_seconds - start) <= hop_seconds
        assert abs(best.end_seconds - end) <= hop_seconds
        assert best.score > 0.75


def test_scores_are_those_of_the_windows(pipe):
    audio = recording(23, [("low", 3, 9), ("high", 12, 23)])
    audio[: 5 * RATE] = 0
    scores = pipe.scores(audio, batch_size=3)
    assert scores.start_seconds.tolist() == [0, 2.5, 5, 7.5, 10, 12.5, 15, 17.5, 18]
    assert scores.edges_seconds[[0, 1, -1]].tolist() == [0, 3.75, 23]
    assert (scores.window_seconds, scores.hop_seconds) == (5.0, 2.5)
    assert pipe.scores(audio, hop_seconds=1.5).hop_seconds == 1.5
    assert not scores.values[0].any()  # digital silence
    windows = [audio[round(s * RATE) :][: 5 * RATE] for s in scores.start_seconds.tolist()]
    expected = pipe.classifier.predict(torch.from_numpy(np.stack(windows[1:])))
    torch.testing.assert_close(scores.values[1:], expected)
    mean = {p.label: p.score for p in pipe(audio).predictions}
    assert {name: scores[name][1:].mean().item() for name in mean} == pytest.approx(mean)


@pytest.mark.parametrize("n_samples", [200, 300, 2 * RATE, 5 * RATE, 5 * RATE + 1])
def test_a_short_recording_has_the_windows_of_the_pipeline(pipe, n_samples):
    audio = recording(6, [("middle", 0, 6)])[:n_samples]
    scores = pipe.scores(audio)
    assert len(scores.values) == (2 if n_samples > 5 * RATE else 1)
    assert scores["middle"].mean().item() == pytest.approx(pipe(audio).score)
    (event,) = pipe.events(audio)
    assert (event.start_seconds, event.end_seconds) == (0, n_samples / RATE)


def test_an_event_is_no_shorter_than_the_step_between_windows(pipe):
    audio = recording(30, [("low", 10, 15)])
    (event,) = pipe.events(audio, hop_seconds=5.0)  # heard in one window
    assert (event.start_seconds, event.end_seconds) == (10, 15)


def test_windows_are_batched(pipe):
    pipe.classifier.n_batches = 0
    pipe.scores(recording(100, []), batch_size=20)
    assert pipe.classifier.n_batches == 2  # of 39 windows, of which the first block ends 25


def test_events_of_a_file_wait_for_full_batches_and_those_of_live_sound_do_not(pipe):
    pipe.classifier.n_batches = 0
    list(pipe.events(recording(100, []), batch_size=20))
    assert pipe.classifier.n_batches == 2
    stream = pipe.stream(batch_size=20)
    for n_windows, block in enumerate(recording(15, []).reshape(6, -1)):  # a step each
        pipe.classifier.n_batches = 0
        stream.push(block)
        assert pipe.classifier.n_batches == (n_windows > 0)


def test_the_options_of_a_stream_have_the_defaults_of_events(pipe):
    of_events, of_streams, of_scores, of_listening = (
        {name: option.default for name, option in inspect.signature(hear).parameters.items()}
        for hear in (pipe.events, pipe.stream, pipe.scores, listen)
    )
    assert of_streams.pop("keep_scores") is False
    assert of_streams.items() <= of_events.items()
    assert of_scores.items() <= of_events.items()
    assert of_listening.pop("stop") is None
    assert of_listening.pop("began") is None
    del of_listening["pipe"], of_listening["microphone"]
    assert of_listening.items() <= of_events.items()


def test_events_come_while_the_file_is_read(pipe):
    events = pipe.events(recording(3_600, [("low", 10, 20)]), progress=False)
    assert next(events).label == "low"
    assert next(events, None) is None


def test_events_of_a_file_come_by_their_start_and_those_of_a_stream_as_they_end(pipe):
    planted = [("low", 0, 40), ("high", 0, 12), ("middle", 5, 12)]
    audio = recording(60, planted)
    assert [event.start_seconds for event in pipe.events(audio)] == [0, 0, 5]
    assert {event.label for event in pipe.events(audio)} == {*TONES_HZ}
    events = pipe.events(audio)
    next(events)
    events.close()
    assert list(events) == []
    stream = pipe.stream()
    events = [event for block in audio.reshape(60, -1) for event in stream.push(block)]
    assert [event.label for event in events] == ["high", "middle", "low"]


def test_the_bar_counts_the_seconds_that_were_heard(pipe, monkeypatch):
    given, steps = [], []

    @contextmanager
    def progress_bar(**options):
        given.append(options)
        bar = SimpleNamespace(n=0)
        bar.update = lambda n: (steps.append(n), setattr(bar, "n", bar.n + n))
        yield bar

    monkeypatch.setattr("soundsep.pipeline.events.progress_bar", progress_bar)
    list(pipe.events(recording(150.4, [])))
    assert given == [{"total": 150, "unit": "s", "desc": "listening", "progress": True}]
    assert steps == [65, 66, 19]  # of blocks of 65.536 s


def test_events_before_the_damage_are_given_first(pipe):
    audio = recording(90, [("low", 10, 20), ("high", 31, 90)])
    audio[80 * RATE] = np.nan
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, RATE, format="WAV", subtype="FLOAT")
    events = pipe.events(buffer.getvalue())
    assert next(events).label == "low"
    assert next(events).label == "high"
    with pytest.raises(AudioError, match="NaN"):
        next(events)


@pytest.mark.parametrize("rate", [RATE, 7_350])
def test_a_stream_gives_what_the_file_gives(pipe, rate):
    left = recording(120, [("low", 10, 30), ("low", 60, 68)], rate)
    audio = 2 * np.stack([left, recording(120, [("high", 15, 22)], rate)])
    stream = pipe.stream(sample_rate=rate, keep_scores=True)
    stereo = torch.from_numpy(audio)
    given = [stream.push(block) for block in stereo.split(rate, dim=1)] + [stream.flush()]
    when = {event.label: second for second, events in enumerate(given, 1) for event in events[:1]}
    assert when["high"] < 30  # once certain, not when the longer one is over
    whole = list(pipe.events(audio, sample_rate=rate))
    together = sorted((e for events in given for e in events), key=lambda e: e.start_seconds)
    assert together == whole
    torch.testing.assert_close(
        stream.scores().values, pipe.scores(audio, sample_rate=rate).values, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("n_minutes", [15, pytest.param(600, marks=pytest.mark.slow)])
def test_times_are_right_after_hours_of_44_100_hz(pipe, n_minutes):
    """Only the last minute is loud; silence is not sent through the model."""
    stream = pipe.stream(sample_rate=44_100)
    silence = torch.zeros(44_100 * 60 + 7)  # blocks that fall on no whole second
    events = [e for _ in range(n_minutes) for e in stream.push(silence)]
    start = stream.duration_seconds + 10
    for block in torch.from_numpy(recording(60, [("middle", 10, 20)], 44_100)).split(100_000):
        events += stream.push(block)
    (event,) = events + stream.flush()
    assert abs(event.start_seconds - start) <= 2.5
    assert abs(event.end_seconds - start - 10) <= 2.5


def test_a_sound_that_goes_on_is_known_before_it_is_over(pipe):
    stream = pipe.stream(sample_rate=RATE)
    sound = recording(60, [("low", 10, 40)])
    known, given = list[float](), list[float]()
    for second in range(60):
        events = stream.push(sound[second * RATE : (second + 1) * RATE])
        known += [second + 1] * any(event.label == "low" for event in stream.unfinished())
        given += [second + 1] * len(events)
    assert 10 < known[0] <= 16
    assert known == [*range(known[0], given[0])]
    assert given[0] > 40
    assert not stream.flush()
    assert not stream.unfinished()


def test_skipped_samples_keep_the_times_right(pipe):
    audio = recording(60, [("low", 10, 20), ("high", 40, 50)])
    stream = pipe.stream()
    events = stream.push(audio[: 15 * RATE]) + stream.skip(15 * RATE)
    events += stream.push(audio[30 * RATE :]) + stream.flush()
    assert [e.label for e in events] == ["low", "high"]
    assert events[0].end_seconds == 15
    assert abs(events[1].start_seconds - 40) <= 2.5
    assert stream.duration_seconds == 60


def test_rows_end_where_the_sound_did_also_before_a_gap(pipe, tmp_path):
    stream = pipe.stream(keep_scores=True)
    stream.push(recording(12, []))
    stream.skip(5 * RATE)
    stream.flush()
    assert stream.scores().spans_seconds[-1, 1] == 12
    stream.push(recording(6, []))
    stream.flush()
    stream.scores().to_csv(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open() as file:
        spans = [(row["start_seconds"], row["end_seconds"]) for row in csv.DictReader(file)]
    at = spans.index(("17.0000", "20.7500"))
    assert spans[at - 1] == ("8.7500", "12.0000")
    assert spans[at + 1 :] == [("20.7500", "23.0000")]


def test_after_a_recording_another_begins(pipe):
    first, second = recording(14, [("low", 0, 14)]), recording(30, [("high", 10, 20)])
    alone, stream = pipe.stream(keep_scores=True), pipe.stream(keep_scores=True)
    (expected,) = alone.push(second) + alone.flush()
    assert [event.label for event in stream.push(first) + stream.flush()] == ["low"]
    (event,) = stream.push(np.stack([second] * 2)) + stream.flush()  # of other channels
    assert event == replace(
        expected,
        start_seconds=14 + expected.start_seconds,
        end_seconds=14 + expected.end_seconds,
    )
    values = alone.scores().values
    torch.testing.assert_close(stream.scores().values[-len(values) :], values)


@pytest.mark.parametrize("n_seconds", [5, 7, 11])
def test_a_stream_at_another_rate_hears_all_of_the_recording(pipe, n_seconds):
    stream = pipe.stream(sample_rate=7_350, keep_scores=True)
    stream.push(recording(n_seconds, [("low", 0, n_seconds)], 7_350))
    stream.flush()
    scores = stream.scores()
    assert scores.start_seconds[-1].item() == n_seconds - 5
    assert scores.edges_seconds[-1].item() == n_seconds
    assert (scores["low"] > 0.9).all()
    assert stream.min_seconds == pipe.stream().min_seconds == 200 / RATE


def test_to_skip_nothing_is_no_mistake(pipe):
    stream = pipe.stream()
    assert stream.skip(0) == stream.skip(0.0) == []
    assert stream.duration_seconds == 0
    assert repr(stream) == "Stream(2000 Hz, 0.0 s so far)"


def test_what_cannot_be_heard_is_refused(pipe):
    with pytest.raises(AudioError, match="too short"):
        list(pipe.events(np.ones(10)))
    with pytest.raises(AudioError, match="NaN"):
        pipe.stream().push(np.array([0.0, np.nan]))
    with pytest.raises(AudioError, match="channels"):
        pipe.stream().push(np.zeros((1000, 2)))
    for kind in (bytes, bytearray, memoryview):
        hint = f"got {kind.__name__}; samples of 16 bits are numpy.frombuffer"
        with pytest.raises(AudioError, match=hint):
            pipe.stream(sample_rate=RATE).push(kind(bytes(640)))
    for block in (np.zeros((1, 2, 3)), np.array(0.5)):
        with pytest.raises(AudioError, match=r"expected a block \(time,\) or"):
            pipe.stream().push(block)
    with pytest.raises(AudioError, match="rate"):
        pipe.stream(sample_rate=1)
    for n_samples in (-5, 0.5):
        with pytest.raises(ConfigError, match="n_samples"):
            pipe.stream().skip(n_samples)
    with pytest.raises(ConfigError, match="keep_scores"):
        pipe.stream().scores()
    for options in ({"hop_seconds": 6}, {"hop_seconds": 0}, {"batch_size": 0}, {"threshold": 2}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            pipe.events(np.ones(RATE), **options)  # at once, before it is read


def test_a_recording_of_nothing_but_digital_silence_says_so(pipe):
    silence = np.zeros((2, 30 * RATE))
    for hear in (lambda: list(pipe.events(silence)), lambda: pipe.scores(silence)):
        with pytest.raises(AudioError, match="the array is digital silence"):
            hear()
    gated = Pipeline(pipe.classifier, silence_db=-60.0)
    assert list(gated.events(silence)) == []
    assert not gated.scores(silence).values.any()


def test_silence_has_no_events_and_an_empty_stream_nothing(pipe, tmp_path):
    stream = pipe.stream()
    assert stream.push(np.zeros(30 * RATE)) + stream.flush() == []
    stream = pipe.stream(keep_scores=True)
    assert stream.push(np.zeros(0)) + stream.flush() == []
    assert stream.scores().values.shape == (0, 3)
    assert repr(stream.scores()) == "Scores(recording: 0 windows x 3 labels, 0.0 s)"
    assert stream.scores().edges_seconds.tolist() == [0]
    stream.scores().to_csv(tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == "start_seconds,end_seconds,low,middle,high\n"


def test_what_is_softer_than_the_silence_gate_is_no_event(pipe):
    audio = recording(30, [("low", 8.0, 20.0)])  # -13.5 dBFS where the tone fills the window
    for silence_db, n_events in ((-14.0, 1), (-13.0, 0)):
        gated = Pipeline(pipe.classifier, silence_db=silence_db)
        assert len([*gated.events(audio, sample_rate=RATE)]) == n_events
        assert bool(gated.scores(audio, sample_rate=RATE).values.any()) == bool(n_events)
        stream = gated.stream(sample_rate=RATE)
        assert len(stream.push(audio) + stream.flush()) == n_events


def cancelling(planted, rate: int = RATE) -> np.ndarray:
    left = recording(30.1, planted, rate)  # ends within a cell of the mixer
    return np.stack([left, np.float32(-0.99) * left])


@pytest.mark.parametrize("rate", [RATE, 7_350])
@pytest.mark.parametrize("size", [37, 1_000, 99_999])
def test_channels_that_cancel_are_heard_in_blocks_of_any_size(pipe, rate, size):
    stereo = cancelling([("low", 10, 20)], rate)
    expected = list(pipe.events(stereo[0], sample_rate=rate))
    assert [event.label for event in expected] == ["low"]
    assert list(pipe.events(stereo, sample_rate=rate)) == expected
    stream = pipe.stream(sample_rate=rate, keep_scores=True)
    events = [
        e for block in torch.from_numpy(stereo).split(size, dim=1) for e in stream.push(block)
    ]
    assert events + stream.flush() == expected
    torch.testing.assert_close(
        stream.scores().values, pipe.scores(stereo, sample_rate=rate).values, atol=1e-5, rtol=0
    )


def test_a_channel_can_be_chosen(pipe):
    stereo = np.stack([recording(30, [("low", 5, 25)]), recording(30, [("high", 5, 25)])])
    for channel, label in enumerate(("low", "high")):
        (event,) = pipe.events(stereo, sample_rate=RATE, channel=channel)
        assert event.label == label
        assert pipe.scores(stereo, sample_rate=RATE, channel=channel)[label].max() > 0.9
        assert pipe(stereo, sample_rate=RATE, channel=channel).label == label
        stream = pipe.stream(channel=channel)
        assert [e.label for e in stream.push(stereo) + stream.flush()] == [label]
    for hear in (pipe, lambda *a, **k: list(pipe.events(*a, **k)), pipe.scores):
        with pytest.raises(AudioError, match="no channel 2"):
            hear(stereo, channel=2)
    with pytest.raises(AudioError, match="no channel 2"):
        pipe.stream(channel=2).push(stereo)


def test_blocks_of_a_stream_have_one_number_of_channels(pipe):
    stream = pipe.stream()
    stream.push(np.zeros(0))  # tells no number of channels
    stream.push(np.zeros((2, 100)))
    with pytest.raises(AudioError, match=r"1 channels, those before it had 2"):
        stream.push(np.zeros(100))
    stream.flush()
    stream.push(np.zeros(100))


def test_a_peak_above_100_is_refused_where_it_is_met(pipe):
    loud = recording(60, [("low", 10, 20)])
    loud[55 * RATE :] *= 32_768
    events = pipe.events(loud.astype(np.float32), sample_rate=RATE)
    with pytest.raises(AudioError, match="divide by 32768"):
        list(events)
    stream = pipe.stream()
    assert stream.push(99 * np.ones(100)) == []  # a 32-bit float recorder may well exceed 1
    with pytest.raises(AudioError, match="divide by 32768"):
        stream.push(101 * np.ones(100))


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": "0.5"},
        {"threshold": True},
        {"threshold": float("nan")},
        {"hop_seconds": 1e-9},
        {"hop_seconds": "1"},
        {"min_duration_seconds": "1"},
        {"merge_gap_seconds": None},
        {"batch_size": 2.5},
        {"batch_size": "2"},
        {"batch_size": True},
        {"sample_rate": "44100"},
        {"sample_rate": True},
        {"sample_rate": float("nan")},
        {"channel": "left"},
        {"channel": -1},
    ],
)
def test_options_of_wrong_types_are_refused_at_once(pipe, options):
    (name,) = options
    for hear in (lambda **o: pipe.events("missing.wav", **o), pipe.stream):
        with pytest.raises(ConfigError, match=name):
            hear(**options)
    if name in ("hop_seconds", "batch_size", "sample_rate", "channel"):
        with pytest.raises(ConfigError, match=name):
            pipe.scores("missing.wav", **options)


def test_options_may_be_numbers_of_numpy(pipe):
    audio = recording(30, [("low", 5, 25)])
    events = pipe.events(
        audio,
        sample_rate=np.int64(RATE),
        threshold=np.float32(0.5),
        hop_seconds=np.float64(2.5),
        batch_size=np.int16(4),
    )
    assert [event.label for event in events] == ["low"]


def test_a_block_that_is_no_array_is_refused(pipe):
    with pytest.raises(AudioError, match=r"expected an array or a tensor, got list$"):
        pipe.stream().push([0.0, 0.1])


def test_neither_types_nor_refused_blocks_nor_another_stream_change_what_is_heard(pipe):
    sound = recording(13, [("low", 1, 9), ("high", 4, 6.5), ("middle", 8, 13)], 11_025)
    audio = (sound * 2**15).astype(np.int16)
    forms = itertools.cycle(
        (
            lambda block: block,
            lambda block: block[None].astype(">i2"),
            lambda block: block.astype(np.int32) * 2**16,
            lambda block: torch.from_numpy(block / 2**15),
            lambda block: (block / np.float32(2**15))[None],
        )
    )
    refused = itertools.cycle(
        (np.array([0.1, np.nan]), np.zeros((2, 9)), np.zeros(9, np.uint8), np.zeros((1, 1, 9)))
    )
    stream, other = (pipe.stream(sample_rate=11_025, keep_scores=True) for _ in range(2))
    events, rest = [], audio
    for size in itertools.cycle((0, 1, 7_919, 30_011, 2)):
        events += stream.push(next(forms)(rest[:size]))
        other.push(rest[:size][::-1])
        with pytest.raises(AudioError):
            stream.push(next(refused))
        rest = rest[size:]
        if not len(rest):
            break
    events += stream.flush()
    assert stream.flush() == []
    assert sorted(events, key=lambda event: event.start_seconds) == list(
        pipe.events(audio, sample_rate=11_025)
    )
    expected = pipe.scores(audio, sample_rate=11_025)
    torch.testing.assert_close(stream.scores().values, expected.values, atol=1e-5, rtol=0)
    assert torch.equal(stream.scores().spans_seconds, expected.spans_seconds)


@pytest.mark.parametrize("convert", [Tensor.to_sparse, lambda b: b.to("meta")])
def test_a_block_without_samples_in_memory_is_refused(pipe, convert):
    with pytest.raises(AudioError, match="dense tensor"):
        pipe.stream().push(convert(torch.zeros(2, 100)))
