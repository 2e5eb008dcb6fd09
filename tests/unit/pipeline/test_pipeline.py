from __future__ import annotations

import io
import sys
import warnings

import numpy as np
import pytest
import soundfile
import torch

from soundsep import (
    AudioError,
    Classifier,
    ClassifierConfig,
    ConfigError,
    MelConfig,
    Pipeline,
    SoundsepWarning,
    load_audio,
)
from soundsep.audio import resample
from soundsep.audio.windows import split_windows

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


def scores(result) -> np.ndarray:
    return np.array([{p.label: p.score for p in result.predictions}[name] for name in LABELS])


def test_an_array_that_cannot_be_used_is_numbered(pipe):
    good, bad = noise(1), np.full(16_000, np.nan)
    for many in ([good, good, good, bad], iter([good, good, good, bad])):
        with pytest.raises(AudioError, match=r"^recording 3, counted from 0: the array holds NaN"):
            list(pipe(many, sample_rate=16_000, batch_size=2))
    with pytest.raises(AudioError, match=r"^the array holds NaN"):
        pipe(bad, sample_rate=16_000)
    (result,) = pipe([bad], sample_rate=16_000, errors="return")
    assert result.error.startswith("the array holds NaN")


def test_one_in_one_out_and_list_in_list_out(pipe):
    assert pipe(noise(1)).label in LABELS
    results = pipe([noise(1), noise(2)], batch_size=2)
    assert [r.duration_seconds for r in results] == [1.0, 2.0]
    assert pipe([]) == []


def test_scores_are_probabilities_in_falling_order(pipe):
    result = pipe(noise(3))
    values = [p.score for p in result.predictions]
    assert len(values) == 3
    assert sum(values) == pytest.approx(1, abs=1e-5)
    assert values == sorted(values, reverse=True)


def test_a_clip_does_not_depend_on_its_batch(pipe):
    clips = [noise(s, seed=i, gain=g) for i, (s, g) in enumerate([(1, 1e-3), (2.7, 1), (0.4, 0.3)])]
    alone = np.stack([scores(pipe(clip)) for clip in clips])
    assert np.abs(alone - alone.mean(axis=0)).max() > 1e-3  # else the test could not fail
    for batch_size in (1, 2, 3, 64):
        together = np.stack([scores(r) for r in pipe(clips, batch_size=batch_size)])
        np.testing.assert_allclose(together, alone, atol=1e-5)
    backwards = np.stack([scores(r) for r in pipe(clips[::-1])])[::-1]
    np.testing.assert_allclose(backwards, alone, atol=1e-5)


def test_a_long_clip_is_the_mean_of_its_windows(pipe):
    waveform = torch.from_numpy(noise(2.3)).float()
    windows = split_windows(waveform, window=16_000, hop=8_000, padding="zero")
    assert len(windows) == 4
    with torch.no_grad():
        expected = pipe.classifier.predict(torch.stack(windows)).mean(dim=0)
    np.testing.assert_allclose(scores(pipe(waveform)), expected.numpy(), atol=1e-5)


def test_silent_windows_do_not_count(pipe):
    sound = noise(1)
    padded = np.concatenate([sound, np.zeros(16_000 * 4)])
    windows = [padded[start : start + 16_000] for start in (0, 8_000)]
    expected = np.mean([scores(pipe(window)) for window in windows], axis=0)
    np.testing.assert_allclose(scores(pipe(padded)), expected, atol=1e-5)


def test_a_model_left_in_training_answers_the_same_and_learns_nothing(pipe):
    clips = [noise(1), noise(1, seed=1, gain=1)]
    expected, over_time = pipe(clips), pipe.scores(clips[0]).values
    pipe.classifier.train()
    assert pipe(clips) == expected
    pipe.classifier.train()
    assert torch.equal(pipe.scores(clips[0]).values, over_time)
    assert not pipe.classifier.training
    assert pipe(clips) == expected


def test_rates_and_formats_agree(pipe, tmp_path):
    samples = noise(1, seed=1)
    path = tmp_path / "clip.flac"
    soundfile.write(path, samples, 16_000, subtype="PCM_24")
    result = pipe(path)
    assert result.path == str(path)
    reference = scores(pipe(samples))
    np.testing.assert_allclose(scores(result), reference, atol=1e-3)
    np.testing.assert_allclose(scores(pipe(path.read_bytes())), scores(result), atol=1e-6)
    stereo = np.stack([samples, samples])
    np.testing.assert_allclose(scores(pipe(stereo)), reference, atol=1e-5)
    np.testing.assert_allclose(scores(pipe(samples, sample_rate=16_000)), reference, atol=1e-6)


def test_top_k_cuts_the_list(pipe):
    assert len(pipe(noise(1), top_k=2).predictions) == 2
    assert len(pipe(noise(1), top_k=99).predictions) == 3


@pytest.mark.parametrize(
    ("samples", "message"),
    [(np.zeros(16_000), "silence"), (np.ones(1), "too short"), (np.ones(500), "too short")],
)
def test_clips_with_nothing_to_hear_are_refused(pipe, samples, message):
    with pytest.raises(AudioError, match=message):
        pipe(samples)


def test_a_bad_clip_costs_the_others_nothing(pipe):
    clips = [noise(1), "missing.wav", noise(2, seed=2), b"junk"]
    with pytest.raises(AudioError, match="missing"):
        pipe(clips)
    results = pipe(clips, errors="return", batch_size=2)
    assert [r.error is None for r in results] == [True, False, True, False]
    assert "missing.wav" in results[1].error
    np.testing.assert_allclose(scores(results[2]), scores(pipe(clips[2])), atol=1e-5)


def test_a_list_of_nothing_but_bad_clips(pipe):
    assert all(r.error for r in pipe(["a.wav", "b.wav"], errors="return"))


@pytest.mark.parametrize(
    "options",
    [{"top_k": 0}, {"top_k": 2.5}, {"batch_size": 0}, {"n_shifts": True}, {"errors": "ignore"}],
)
def test_bad_options_are_refused(pipe, options):
    with pytest.raises(ConfigError):
        pipe(noise(1), **options)


def test_an_unknown_device_is_refused(pipe):
    with pytest.raises(ConfigError, match="device"):
        Pipeline(pipe.classifier, device="warp-drive")


def test_the_progress_bar_counts_clips_on_a_terminal(pipe, monkeypatch):
    for is_terminal, options, expected in (
        (True, {}, True),
        (True, {"progress": False}, False),
        (False, {"progress": True}, False),
    ):
        screen = io.StringIO()
        monkeypatch.setattr(screen, "isatty", lambda shown=is_terminal: shown)
        monkeypatch.setattr(sys, "stderr", screen)
        pipe([noise(1), noise(1)], **options)
        assert ("2/2" in screen.getvalue()) == expected
        assert expected or not screen.getvalue()


def test_without_a_console_nothing_fails(pipe, monkeypatch):
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    assert len(pipe([noise(1), noise(1)])) == 2
    assert isinstance(list(pipe.events(noise(2))), list)


def test_save_and_load_give_the_same_answers(pipe, tmp_path):
    pipe.classifier.save_pretrained(tmp_path / "model")
    again = Pipeline.from_pretrained(tmp_path / "model")
    assert again.classifier.config == pipe.classifier.config
    np.testing.assert_array_equal(scores(again(noise(1))), scores(pipe(noise(1))))
    pipe.classifier.save_pretrained(tmp_path / "half", half=True)
    half = Pipeline.from_pretrained(tmp_path / "half")
    np.testing.assert_allclose(scores(half(noise(1))), scores(pipe(noise(1))), atol=0.02)


def test_a_file_object_gives_its_name(pipe, tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise(1), 16_000)
    with path.open("rb") as file:
        assert pipe(file).path == str(path)
    assert pipe(io.BytesIO(path.read_bytes())).path is None


@pytest.mark.parametrize(
    ("separator", "hint"),
    [
        ("esc50-mix2", r"got str; Separator\.from_pretrained\('esc50-mix2'\)"),
        (torch.nn.Identity(), r"got Identity; .*Separator\(network, config\)"),
    ],
)
def test_what_is_no_separator_is_refused_at_once(pipe, separator, hint):
    with pytest.raises(ConfigError, match=hint):
        Pipeline(pipe.classifier, separator=separator)


def test_a_loaded_model_in_place_of_a_name_gets_a_hint(pipe):
    with pytest.raises(ConfigError, match=r"got Classifier; .*Pipeline\(classifier\)"):
        Pipeline.from_pretrained(pipe.classifier)


def test_repr_names_the_model(pipe):
    assert repr(pipe) == "Pipeline(resnet18, 3 labels, 16000 Hz)"


def test_what_the_model_is_not_sure_of_has_no_label(pipe):
    clips = [noise(1, seed=i) for i in range(12)]
    plain = pipe(clips)
    least = sorted(r.score for r in plain)[6]
    classifier = Classifier(pipe.classifier.config.replace(unknown_below=least))
    classifier.load_state_dict(pipe.classifier.state_dict())
    careful = Pipeline(classifier, unknown=True)(clips)
    assert [r.predictions for r in careful] == [r.predictions for r in plain]
    expected = [r.label if r.score >= least else None for r in plain]
    assert expected.count(None) == 6
    assert [r.label for r in careful] == expected
    assert Pipeline(classifier)(clips) == plain  # where nobody asks, all are named
    unsure = careful[expected.index(None)]
    assert "unknown" in str(unsure)
    assert unsure.to_dict()["label"] is None
    with pytest.raises(ConfigError, match="unknown_below"):
        Pipeline(pipe.classifier, unknown=True)


def test_a_silence_gate_is_a_level_below_which_nothing_is_heard(pipe):
    quiet, loud = noise(1.5, gain=0.001), noise(1.5, gain=0.1)
    mixed = np.concatenate((quiet, loud, quiet))
    listening = Pipeline(pipe.classifier, silence_db=-50.0)
    results = listening([quiet, loud, np.zeros(16_000), mixed])
    assert [r.label is None for r in results] == [True, False, True, False]
    assert results[0].predictions == ()
    assert results[0].score == 0
    assert "nothing to be heard" in str(results[0])
    for db in (60.0, float("nan"), -float("inf")):
        with pytest.raises(ConfigError, match="silence_db"):
            Pipeline(pipe.classifier, silence_db=db)
    # Only the windows that reach the level count.
    assert abs(scores(results[3]) - scores(pipe(mixed))).max() > 1e-3
    with pytest.raises(AudioError, match="digital silence"):
        pipe(np.zeros(16_000))


def test_an_array_without_a_rate_is_said_once(pipe):
    fresh = Pipeline(pipe.classifier)
    with pytest.warns(SoundsepWarning, match="taken as 16000 Hz") as caught:
        fresh([noise(1), noise(1)])
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh(noise(1))
        list(fresh.events(noise(1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Pipeline(pipe.classifier)(noise(1), sample_rate=16_000)
    for hear in (Pipeline(pipe.classifier).scores, lambda a: load_audio(a, target_rate=16_000)):
        with pytest.warns(SoundsepWarning, match="taken as 16000 Hz"):
            hear(noise(1))


def test_integers_cast_to_float_are_refused(pipe, tmp_path):
    samples = np.round(noise(1, gain=0.1) * 32_768)
    soundfile.write(tmp_path / "clip.wav", samples, 16_000, subtype="FLOAT")
    for audio in (samples, samples.astype(np.float32), torch.from_numpy(samples)):
        with pytest.raises(AudioError, match=r"the array has a peak of .* divide by 32768"):
            pipe(audio, sample_rate=16_000)
    with pytest.raises(AudioError, match=r"clip.wav has a peak of .* divide by 32768"):
        pipe(tmp_path / "clip.wav")
    np.testing.assert_allclose(
        scores(pipe(samples.astype(np.int16), sample_rate=16_000)),
        scores(pipe(samples / 32_768, sample_rate=16_000)),
        atol=1e-5,
    )
    loud = noise(1, gain=1)
    pipe(loud * 100 / np.abs(loud).max(), sample_rate=16_000)


def test_an_iterator_is_taken_lazily_and_gives_an_iterator(pipe):
    taken = []

    def clips():
        for seed in range(10):
            taken.append(seed)
            yield noise(1, seed=seed)

    results = pipe(clips(), batch_size=4)
    assert taken == []
    first = next(results)
    assert taken == [0, 1, 2, 3]
    together = pipe([noise(1, seed=seed) for seed in range(10)], batch_size=4)
    np.testing.assert_allclose(
        [scores(r) for r in (first, *results)], [scores(r) for r in together], atol=1e-5
    )
    assert list(pipe(iter([]))) == []


def test_of_an_iterator_the_results_before_a_bad_clip_come_first(pipe):
    clips = [noise(1), noise(1, seed=1), "missing.wav", noise(1, seed=2)]
    results = pipe(iter(clips))
    np.testing.assert_allclose(scores(next(results)), scores(pipe(clips[0])), atol=1e-5)
    next(results)
    with pytest.raises(AudioError, match="missing"):
        next(results)
    results = list(pipe(iter(clips), errors="return"))
    assert [r.error is None for r in results] == [True, True, False, True]
    with pytest.raises(ConfigError, match="top_k"):
        pipe(iter(clips), top_k=0)  # at once


def test_paths_of_a_glob_and_of_a_series(pipe, tmp_path):
    for seed in range(3):
        soundfile.write(tmp_path / f"{seed}.wav", noise(1, seed=seed), 16_000)
    by_path = {r.path: scores(r) for r in pipe(tmp_path.glob("*.wav"), batch_size=2)}
    assert len(by_path) == 3
    pandas = pytest.importorskip("pandas")
    series = pandas.Series([str(p) for p in sorted(tmp_path.glob("*.wav"))], index=[5, 7, 9])
    results = pipe(series)
    assert isinstance(results, list)
    assert [r.path for r in results] == list(series)
    for result in results:
        np.testing.assert_allclose(scores(result), by_path[result.path], atol=1e-5)


def test_dictionaries_of_hugging_face_carry_their_rate(pipe, tmp_path):
    samples = noise(1)
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, 16_000, subtype="DOUBLE")
    resampled = resample(torch.from_numpy(samples).float(), 16_000, 48_000).numpy()
    expected = scores(pipe(resampled, sample_rate=48_000))
    audio = {"path": "a.wav", "array": resampled, "sampling_rate": 48_000}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = pipe(audio)
        for same in (*pipe([audio, {**audio, "array": resampled.tolist()}]), result):
            np.testing.assert_allclose(scores(same), expected, atol=1e-6)
            assert same.path == "a.wav"
        assert pipe.scores(audio).path == "a.wav"
        windows = pipe.scores(resampled, sample_rate=48_000)
        assert torch.equal(pipe.scores(audio).values, windows.values)
    for undecoded in ({"path": None, "bytes": path.read_bytes()}, {"path": path, "bytes": None}):
        np.testing.assert_allclose(scores(pipe(undecoded)), scores(pipe(samples)), atol=1e-5)
    for bad, message in (
        ({"audio": audio}, "'audio'"),
        ({"array": samples}, "sampling_rate"),
        ({}, "nothing in it"),
    ):
        with pytest.raises(AudioError, match=message):
            pipe(bad)
    with pytest.raises(ConfigError, match="sampling_rate"):
        pipe({"array": samples, "sampling_rate": "16000"})


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_pair_of_samples_and_rate_gets_a_hint(pipe, kind):
    pair = kind((noise(1), 16_000))
    for hear in (lambda: pipe(pair), lambda: pipe([pair]), lambda: load_audio(pair)):
        with pytest.raises(AudioError, match="sample_rate=rate"):
            hear()
    with pytest.raises(AudioError, match="sample_rate=rate"):
        list(pipe.events(pair))
    results = pipe([noise(1), pair], errors="return")
    assert results[0].error is None
    assert "sample_rate=rate" in results[1].error


@pytest.mark.parametrize(
    "options",
    [
        {"sample_rate": "44100"},
        {"sample_rate": float("nan")},
        {"sample_rate": True},
        {"top_k": "3"},
        {"batch_size": 2.5},
        {"batch_size": float("nan")},
        {"n_shifts": "2"},
        {"channel": 1.0},
    ],
)
def test_options_of_wrong_types_are_refused(pipe, options):
    (name,) = options
    for audio in (noise(1), "missing.wav", [noise(1)], iter([noise(1)])):
        with pytest.raises(ConfigError, match=name):
            pipe(audio, **options)


def test_options_may_be_integers_of_numpy(pipe):
    result = pipe(noise(1), sample_rate=np.int32(16_000), top_k=np.int64(2), batch_size=np.uint8(3))
    assert len(result.predictions) == 2
    with pytest.raises(ConfigError, match="silence_db"):
        Pipeline(pipe.classifier, silence_db="-60")


def test_an_embedding_is_the_mean_over_windows(pipe):
    clip = torch.from_numpy(noise(2.0)).float()
    found = pipe.embed(clip, sample_rate=16_000)
    windows = clip.unfold(0, 16_000, 8_000)
    with torch.no_grad():
        expected = pipe.classifier.embed(windows).mean(dim=0)
    assert found.shape == (pipe.classifier.network.embedding_dim,)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not found.is_inference()  # so that a model can be fitted to it


def test_embeddings_of_many_are_those_of_each(pipe):
    clips = [noise(1.0), noise(2.5, seed=1), noise(1.7)]
    alone = torch.stack([pipe.embed(clip) for clip in clips])
    together = pipe.embed(clips, batch_size=3)
    assert together.shape == (3, pipe.classifier.network.embedding_dim)
    assert not together.is_inference()
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pipe.embed(iter(clips)), together)
    assert pipe.embed([]).shape == (0, pipe.classifier.network.embedding_dim)


def test_an_embedding_is_of_the_rate_and_the_channel_given(pipe):
    stereo = np.stack([noise(2.0), noise(2.0, seed=1)])
    resampled = resample(torch.from_numpy(stereo[1]).float(), 8_000, 16_000)
    expected = pipe.embed(resampled, sample_rate=16_000)
    found = pipe.embed(stereo, sample_rate=8_000, channel=1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert (pipe.embed(stereo, sample_rate=8_000) - expected).abs().max() > 1e-2


def test_what_cannot_be_heard_has_no_embedding(pipe):
    with pytest.raises(AudioError, match="digital silence"):
        pipe.embed(np.zeros(16_000))
    with pytest.raises(AudioError, match="too short"):
        pipe.embed([noise(1.0), noise(0.01)])
    with pytest.raises(ConfigError, match="batch_size"):
        pipe.embed(noise(1.0), batch_size=0)
