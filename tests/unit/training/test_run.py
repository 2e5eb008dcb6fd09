from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundsep import Classifier
from soundsep.datasets import AudioFolder, AudioTable, Concatenation
from soundsep.errors import AudioError, ConfigError
from soundsep.frontends import MelConfig
from soundsep.training import Recipe, Stage, learnt_clips, train_recipe
from soundsep.training.classifier_task import ClassifierTask

TINY = Recipe(
    name="tiny",
    description="for these tests",
    network="cnn4",
    frontend=MelConfig(n_mels=16),
    window_seconds=0.5,
    stages=(Stage(epochs=2, crop_seconds=0.25),),
    batch_size=4,
    report_every=1,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> AudioFolder:
    """Two classes of ten clips of noise, and one of a single recording."""
    root = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    for where, n_clips in (("hiss", 10), ("hum", 10), ("once/recording", 2)):
        (root / where).mkdir(parents=True)
        for i in range(n_clips):
            soundfile.write(root / where / f"{i}.wav", 0.1 * rng.standard_normal(8_000), 16_000)
    return AudioFolder(root)


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("run")
    return train_recipe(TINY, folder, 2, output=output, progress=False), output


def test_a_data_set_becomes_a_model_and_its_figures_on_the_fold_held_out(whole):
    result, output = whole
    assert (result.fold, result.recipe) == (2, TINY)
    assert [row["epoch"] for row in result.rows] == [1, 2]
    assert result.rows[-1]["held_out_accuracy"] == pytest.approx(result.evaluation.metrics.accuracy)
    assert result.minutes == pytest.approx(sum(row["seconds"] for row in result.rows) / 60)
    assert json.loads((output / "test.json").read_text()) == result.evaluation.to_dict()
    for name, model in (("last", result.last), ("ema", result.ema)):
        saved = Classifier.from_pretrained(output / name).state_dict()
        assert all(torch.equal(saved[key], value) for key, value in model.state_dict().items())
    assert result.ema.labels == ("hiss", "hum", "once")
    evaluation = repr(result.evaluation)
    assert repr(result) == f"TrainingResult('tiny' without fold 2, 2 epochs: {evaluation})"


def test_the_same_call_again_loads_what_was_trained(whole, folder, monkeypatch):
    result, output = whole
    monkeypatch.setattr(ClassifierTask, "loss", lambda *_: pytest.fail("trained again"))
    again = train_recipe(TINY, folder, 2, output=output, progress=False)
    assert again.rows == result.rows
    for key, value in again.ema.state_dict().items():
        assert torch.equal(value, result.ema.state_dict()[key])
    with pytest.raises(ConfigError, match="other settings"):
        train_recipe(TINY, folder, 1, output=output, progress=False)


def test_what_looks_like_a_mistake_is_told_before_the_training(folder, tmp_path):
    told = []

    class Enough(Exception):
        pass

    def stop(warning: str) -> None:
        told.append(warning)
        raise Enough

    lonely = next(f for f in range(1, 6) if _is_in(folder, f))
    with pytest.raises(Enough):
        train_recipe(TINY, folder, lonely, output=tmp_path / "a", progress=False, on_warning=stop)
    assert told == ["in the fold held out only, so not learnt: once"]
    assert not [*(tmp_path / "a").iterdir()]


def _is_in(folder: AudioFolder, fold: int) -> bool:
    from soundsep.datasets import Concatenation

    _, test = Concatenation([folder]).split(fold)
    return any(clip.label == "once" for clip in test)


@pytest.mark.parametrize("samples", [np.full(8_000, 0.1), np.ones(100)], ids=["silent", "short"])
@pytest.mark.parametrize("validation_fold", [None, 1])
def test_a_clip_that_cannot_be_named_is_told_before_the_training(
    samples, validation_fold, tmp_path, monkeypatch
):
    """After the training, nothing would be left but to train again."""
    table = _table(tmp_path)
    soundfile.write(tmp_path / "hum3.wav", samples, 16_000)
    monkeypatch.setattr(ClassifierTask, "loss", lambda *_: pytest.fail("trained"))
    with pytest.raises(AudioError, match=r"hum3\.wav is held out .* silent or too short"):
        train_recipe(
            TINY,
            AudioTable(table),
            3,
            output=tmp_path / "run",
            validation_fold=validation_fold,
            progress=False,
        )


def test_one_error_names_the_broken_clips_of_all_parts(tmp_path, monkeypatch):
    data = AudioTable(_table(tmp_path))
    for fold in (1, 2, 3):
        (tmp_path / f"hum{fold}.wav").write_text("no recording")
    (tmp_path / "hiss1.wav").unlink()
    monkeypatch.setattr(ClassifierTask, "loss", lambda *_: pytest.fail("trained"))
    with pytest.raises(AudioError, match=r"^4 of 6 clips cannot be used") as error:
        train_recipe(
            TINY,
            data,
            3,
            output=tmp_path / "run",
            validation_fold=2,
            progress=False,
        )
    for name in ("hum1.wav", "hum2.wav", "hum3.wav", "hiss1.wav"):
        assert name in str(error.value)


def test_one_error_names_all_clips_that_cannot_be_named(tmp_path):
    table = _table(tmp_path)
    for label in ("hiss", "hum"):
        soundfile.write(tmp_path / f"{label}3.wav", np.zeros(8_000), 16_000)
    with pytest.raises(AudioError, match=r"^2 of 2 clips .*hiss3\.wav .*hum3\.wav .*silent"):
        train_recipe(TINY, AudioTable(table), 3, output=tmp_path / "run", progress=False)


def _table(folder: Path) -> Path:
    """Two classes of noise, in three folds of one clip each."""
    rng = np.random.default_rng(0)
    lines = ["path,label,fold"]
    for label in ("hiss", "hum"):
        for fold in (1, 2, 3):
            name = f"{label}{fold}.wav"
            soundfile.write(folder / name, 0.1 * rng.standard_normal(8_000), 16_000)
            lines.append(f"{name},{label},{fold}")
    (folder / "clips.csv").write_text("\n".join(lines))
    return folder / "clips.csv"


def test_a_silent_clip_in_the_training_is_told(tmp_path):
    table, told = _table(tmp_path), []
    soundfile.write(tmp_path / "hum1.wav", np.full(8_000, 0.1), 16_000)
    result = train_recipe(
        TINY,
        AudioTable(table),
        3,
        output=tmp_path / "run",
        calibrate=True,  # which trains once more, on some of the clips
        progress=False,
        on_warning=told.append,
    )
    (warning,) = result.warnings
    assert told == [warning]
    assert "1 of 4 training clips are digital silence" in warning
    assert "hum1.wav" in warning


def test_what_was_learnt_is_known_if_the_clips_move_during_the_training(tmp_path):
    rng = np.random.default_rng(0)
    for name in (f"{label}/{i}.wav" for label in ("hiss", "hum") for i in range(4)):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "own" / name, 0.1 * rng.standard_normal(8_000), 16_000)
    data = Concatenation([AudioFolder(tmp_path / "own")])
    training, test = data.split(2)
    moved = [replace(c, path=tmp_path / f"{c.label}{c.path.name}") for c in training]

    def move(_: object) -> None:
        for old, new in zip(training, moved, strict=True):
            if old.path.exists():  # before the second epoch
                old.path.rename(new.path)

    train_recipe(TINY, data, 2, output=tmp_path / "run", progress=False, on_epoch=move)
    for name in ("last", "ema"):
        assert learnt_clips(tmp_path / "run" / name, [*moved, *test]) == moved


def test_clips_of_several_labels_are_refused(folder, tmp_path):
    both = copy.copy(folder)
    both.clips = (replace(folder.clips[0], also=("hum",)), *folder.clips[1:])
    with pytest.raises(ConfigError, match=r"'tiny' learns .* 1 of 22 clips hold .*: hiss and hum;"):
        train_recipe(TINY, both, 2, output=tmp_path / "a", progress=False)
    assert not (tmp_path / "a").exists()


def test_a_recipe_is_known_by_its_name(folder, tmp_path):
    with pytest.raises(ConfigError, match="nonesuch"):
        train_recipe("nonesuch", folder, output=tmp_path)
    with pytest.raises(ConfigError, match="fold 9"):
        train_recipe("esc50-resnet18", folder, 9, output=tmp_path)
