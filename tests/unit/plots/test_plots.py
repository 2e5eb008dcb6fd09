from __future__ import annotations

import json
import sys
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
import torch
from mpl_toolkits.mplot3d import Axes3D

from soundsep import (
    AudioError,
    ConfigError,
    DependencyError,
    MelFrontend,
    Pipeline,
    SoundsepWarning,
    plots,
)
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.evaluation import Evaluation
from soundsep.frontends import GammatoneConfig, GammatoneFrontend, MelConfig, MFCCConfig
from soundsep.frontends.mfcc import MFCCFrontend
from soundsep.plots import spectrogram
from soundsep.training import FitReport

RATE = 16_000
OF_SOUND = ("waveform", "stft", "mel", "mfcc", "gammatone", "3d")
SILENCE_THEN_TONE = np.concatenate(
    (np.zeros(RATE), 0.5 * np.sin(2 * np.pi * 2_000 * np.arange(RATE) / RATE))
).astype(np.float32)


def draw(kind: str, audio=SILENCE_THEN_TONE, **options):
    return getattr(plots, f"plot_{kind}")(audio, sample_rate=RATE, **options)


def ticks(axis) -> dict[str, float]:
    return dict(
        zip((t.get_text() for t in axis.get_ticklabels()), axis.get_ticklocs(), strict=True)
    )


def is_picture(path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", OF_SOUND)
@pytest.mark.parametrize("n_samples", [1, 700, 5 * RATE])
def test_noise_and_silence_of_any_length_make_a_picture(kind, n_samples, tmp_path):
    before = dict(mpl.rcParams)
    noise = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    for name, audio in (("noise", noise), ("silence", 0 * noise)):
        path = tmp_path / "new" / f"{name}.png"
        draw(kind, audio, path=path)
        assert is_picture(path)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("kind", ["stft", "mel", "gammatone"])
def test_a_tone_is_where_the_axes_say(kind):
    axes = draw(kind).axes[0]
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    levels = image.get_array()
    row = levels.max(axis=1).argmax()
    place = bottom + (row + 0.5) / levels.shape[0] * (top - bottom)
    axes.figure.canvas.draw()
    one_band = (top - bottom) / levels.shape[0]
    assert place == pytest.approx(ticks(axes.yaxis)["2k"], abs=one_band)
    assert levels.max() == 0
    # The tone starts at 1 s: nothing before, and it is there soon after.
    times = left + (np.arange(levels.shape[1]) + 0.5) / levels.shape[1] * (right - left)
    assert (levels[:, times < 0.95] == -80).all()
    assert (levels.max(axis=0)[(times > 1.05) & (times < 1.95)] > -10).all()
    assert axes.get_xlabel() == "time (s)"
    assert "Hz" in axes.get_ylabel()
    assert "dB" in axes.figure.axes[-1].get_ylabel()


@pytest.mark.parametrize("kind", OF_SOUND)
@pytest.mark.parametrize("rate", [1_000, 192_000, 384_000, 500_000, 768_000])
def test_every_rate_that_is_read_makes_a_picture(kind, rate):
    noise = np.random.default_rng(0).normal(0, 0.1, rate // 4).astype(np.float32)
    # a warning, such as of a band without a frequency, would be an error
    getattr(plots, f"plot_{kind}")(noise, sample_rate=rate)


@pytest.mark.parametrize("n_samples", [1_500, RATE + 150])
def test_the_picture_reaches_the_end(n_samples):
    for kind in ("stft", "mel", "gammatone"):
        axes = draw(kind, SILENCE_THEN_TONE[:n_samples]).axes[0]
        assert axes.images[0].get_extent()[1] >= axes.get_xlim()[1]


def test_a_tone_stands_at_its_frequency_in_the_surface(monkeypatch):
    drawn = []
    plot_surface = Axes3D.plot_surface

    def noted(*args, **options):
        drawn.append(args)
        return plot_surface(*args, **options)

    monkeypatch.setattr(Axes3D, "plot_surface", noted)
    axes = draw("3d").axes[0]
    axes.figure.canvas.draw()
    _, times, bands, level = drawn[0]
    loudest = np.unravel_index(level.argmax(), level.shape)
    assert bands[loudest] == pytest.approx(ticks(axes.yaxis)["2k"], abs=1)
    assert 1 <= times[loudest] <= 2


def frontend_of(kind):
    if kind == "mel":
        config = MelConfig(n_mels=40, top_db=None, scaling="none", amin=spectrogram.AMIN)
        return config, MelFrontend(config)
    if kind == "mfcc":
        config = MFCCConfig(n_mfcc=13, scaling="none", amin=spectrogram.AMIN)
        return config, MFCCFrontend(config)
    config = GammatoneConfig(n_bands=20, top_db=None, scaling="none", amin=spectrogram.AMIN)
    return config, GammatoneFrontend(config)


@pytest.mark.parametrize("kind", ["mel", "mfcc", "gammatone"])
def test_the_picture_is_what_the_frontend_gives_though_computed_in_pieces(kind, monkeypatch):
    config, frontend = frontend_of(kind)
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * RATE).astype(np.float32)
    expected = frontend(torch.from_numpy(noise)[None])[0].numpy()
    monkeypatch.setattr(spectrogram, "FRAMES_AT_ONCE", 64)
    images = [axes.images[0] for axes in draw(kind, noise, config=config).axes if axes.images]
    drawn = np.asarray(images[0].get_array())
    expected = expected[1:] if kind == "mfcc" else np.clip(expected - expected.max(), -80, 0)
    np.testing.assert_allclose(drawn, expected, atol=2e-3)


def test_windows_of_odd_length_fill_the_last_column():
    config = MelConfig(n_fft=1_023, win_length=1_023, top_db=None, scaling="none")
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    whole = torch.from_numpy(np.append(noise, np.float32(0)))  # silence follows
    expected = MelFrontend(config)(whole[None])[0].numpy()
    (image,) = draw("mel", noise, config=config).axes[0].images
    expected = np.clip(expected - expected.max(), -80, 0)
    np.testing.assert_allclose(image.get_array(), expected, atol=2e-3)


def test_a_click_stays_in_the_picture_of_a_long_recording():
    long = np.random.default_rng(0).normal(0, 1e-3, 600 * RATE).astype(np.float32)
    long[300 * RATE] = 1
    (image,) = draw("stft", long).axes[0].images
    levels = np.asarray(image.get_array())
    assert levels.shape[1] <= spectrogram.MAX_COLUMNS
    assert levels.max(axis=0).argmax() / levels.shape[1] == pytest.approx(0.5, abs=2e-3)
    low, high = spectrogram.envelope(torch.from_numpy(long))
    assert len(low) <= spectrogram.MAX_COLUMNS
    assert high.max() == 1
    assert low.min() == long.min()


def test_a_stretch_keeps_its_place_in_time():
    axes = draw("mel", start_seconds=0.5, duration_seconds=0.25).axes[0]
    assert axes.get_xlim() == pytest.approx((0.5, 0.75))
    for wrong in ({"start_seconds": 2.0}, {"start_seconds": -1.0}, {"duration_seconds": 0.0}):
        with pytest.raises(ConfigError):
            draw("waveform", **wrong)


def test_the_file_names_the_picture_whatever_its_name(tmp_path):
    import soundfile

    path = tmp_path / "a $x^ {b}.wav"
    soundfile.write(path, SILENCE_THEN_TONE, RATE)
    figure = plots.plot_waveform(str(path), path=tmp_path / "out.svg")
    assert figure.axes[0].get_title() == "a $x^ {b}.wav"
    with pytest.raises(AudioError, match="does not exist"):
        plots.plot_mel(tmp_path / "none.wav")


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    for name in ("x.wav", "x"):
        with pytest.raises(ConfigError, match=r"\.png"):
            draw("waveform", path=tmp_path / name)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write"):
        draw("waveform", path=tmp_path / "file" / "x.png")


def test_curves_hold_every_number_with_losses_and_scores_apart(tmp_path):
    rows = [
        {"epoch": 1, "training_loss": 3.0, "seconds": 9.0, "note": "warm"},
        {"epoch": 2, "training_loss": 2.0, "held_out_loss": 2.5, "learning_rate": 0.1},
        {"epoch": 3, "training_loss": float("nan"), "macro_f1": 0.3, "accuracy": 0.4},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    figure = plots.plot_curves(tmp_path, path=tmp_path / "curves.png")
    panels = {axes.get_ylabel(): {line.get_label() for line in axes.lines} for axes in figure.axes}
    assert panels == {
        "loss": {"training loss", "held out loss"},
        "score": {"macro f1", "accuracy"},
        "learning rate": {"learning rate"},
    }
    assert figure.axes[0].lines[0].get_xdata().tolist() == [1, 2, 3]


@pytest.mark.parametrize("text", [None, "", "{", '{"epoch": 1}\n', "[1]\n", '{"loss": 1}\n'])
def test_what_is_no_training_run_is_an_error(text, tmp_path):
    if text is not None:
        (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(ConfigError, match=r"metrics|numbers|epoch"):
        plots.plot_curves(tmp_path)


def evaluation(n_classes: int) -> Evaluation:
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(n_classes), 8)
    wrong = rng.random(len(targets)) < 0.2
    answers = np.where(wrong, rng.integers(0, n_classes, len(targets)), targets)
    labels = tuple(f"a_long_class_name_{i}" for i in range(n_classes))
    return Evaluation(labels=labels, targets=targets, answers=answers, scores=np.ones(len(targets)))


@pytest.mark.parametrize("n_classes", [2, 50])
def test_a_confusion_matrix_stays_readable(n_classes, tmp_path):
    measured = evaluation(n_classes)
    measured.save(tmp_path / "figures.json")
    figure = plots.plot_confusion(tmp_path / "figures.json", path=tmp_path / "confusion.png")
    axes = figure.axes[0]
    counts = measured.confusion
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown == {(j, i): str(counts[i, j]) for i, j in np.argwhere(counts)}
    np.testing.assert_allclose(axes.images[0].get_array(), counts / 8)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(not a.overlaps(b) for a, b in pairwise(boxes))
    assert min(box.height for box in boxes) >= 9  # pixels
    assert min(box.x0 for box in boxes) >= 0
    assert plots.plot_confusion(measured).axes[0].get_title() == axes.get_title()


def test_the_confusions_of_a_fit_are_drawn_too(tmp_path):
    report = FitReport(
        mode="probe",
        backbone="audioset-mn04",
        labels=("bee", "wasp"),
        clips_per_class=(3, 2),
        recordings_per_class=(3, 2),
        n_recordings=5,
        n_folds=2,
        n_recordings_measured=5,
        accuracy=0.8,
        interval=(0.4, 1.0),
        confusion=np.array([[2, 1], [0, 2]]),
        calibration_error=0.1,
        temperature=1.0,
    )
    report.save(tmp_path / "fit_report.json")
    for given in (report, tmp_path / "fit_report.json"):
        axes = plots.plot_confusion(given).axes[0]
        assert axes.get_title() == "5 clips, accuracy 80.0%"
        assert [label.get_text() for label in axes.get_yticklabels()] == ["bee", "wasp"]
        assert sorted(text.get_text() for text in axes.texts) == ["1", "2", "2"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "{",
        "[]",
        '{"labels": ["a"], "confusion": [[0]]}',
        '{"labels": ["a"], "confusion": [[1, 2]]}',
        '{"labels": ["a", "b"], "confusion": [[1], [1, 2]]}',
    ],
)
def test_what_is_no_evaluation_is_an_error(text, tmp_path):
    path = tmp_path / "figures.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"figures\.json"):
        plots.plot_confusion(path)


def test_a_recording_is_not_printed_as_an_error(tmp_path):
    path = tmp_path / "yard.wav"
    path.write_bytes(bytes(range(256)) * 1_000)
    with pytest.raises(ConfigError) as caught:
        plots.plot_confusion(path)
    assert len(str(caught.value)) < 1_000


def test_probabilities_are_those_of_each_window_and_silence_is_left_out(tmp_path):
    torch.manual_seed(0)
    config = ClassifierConfig(
        labels=("dog", "rain", "siren"), network="mn04", window_seconds=1.0, hop_seconds=0.5
    )
    pipeline = Pipeline(Classifier(config))
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    audio = np.concatenate((noise, np.zeros(RATE, np.float32), noise, noise[: RATE // 4]))
    figure = plots.plot_probabilities(
        audio, model=pipeline, sample_rate=RATE, top_k=2, path=tmp_path / "scores.png"
    )
    axes = figure.axes[1]
    shown = np.ma.filled(axes.collections[0].get_array(), np.nan)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert shown.shape == (2, 6)  # windows at 0, .5, 1, 1.5, 2 and 2.25 s
    assert np.isnan(shown).any(axis=0).tolist() == [False, False, True, False, False, False]
    expected = {p.label: p.score for p in pipeline(noise, sample_rate=RATE).predictions}
    assert shown[:, 0] == pytest.approx([expected[label] for label in labels], abs=1e-5)
    edges = axes.collections[0].get_coordinates()[0, :, 0]
    assert edges.tolist() == [0, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25]
    with pytest.raises(AudioError, match="silence"):
        plots.plot_probabilities(np.zeros(RATE), model=pipeline, sample_rate=RATE)
    alone = plots.plot_scores(pipeline.scores(audio, sample_rate=RATE), top_k=2).axes[0]
    np.testing.assert_array_equal(np.ma.filled(alone.collections[0].get_array(), np.nan), shown)


def test_letters_without_a_font_are_said_in_one_line(tmp_path):
    """Each was a warning of matplotlib's with our source; as an error it cost the picture."""
    path = tmp_path / "bird.png"
    with pytest.warns(SoundsepWarning, match="no font with \U0010fffd \U0010fffc, so") as told:
        draw("waveform", path=path, title="\U0010fffd \U0010fffc \U0010fffd")
    assert len(told) == 1
    assert is_picture(path)


def test_without_matplotlib_the_error_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DependencyError, match=r'pip install "soundsep\[plot\]"'):
        draw("waveform")


def test_the_surface_fills_the_picture_and_all_labels_are_in_it():
    figure = draw("3d", title="a long title " * 10)
    figure.draw_without_rendering()  # of a collapsed layout, matplotlib warns
    surface, colours = figure.axes
    assert surface.bbox.width > 0.7 * figure.bbox.width
    assert surface.bbox.height > 0.7 * figure.bbox.height
    for axes in (surface, colours):
        box = axes.get_tightbbox()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert surface.bbox.x1 < colours.bbox.x0
