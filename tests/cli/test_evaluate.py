from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from soundsep import ClipResult, Pipeline, Prediction
from soundsep._version import __version__
from soundsep.checkpoints.registry import PUBLISHED
from soundsep.cli import main
from soundsep.cli.data import open_dataset
from soundsep.cli.output import check_output
from soundsep.labels import ESC50_LABELS, URBAN11_LABELS, URBANSOUND8K_LABELS


class Parrot:
    """A pipeline that always gives the same answer."""

    def __init__(self, labels: tuple[str, ...], answer: str = "siren") -> None:
        self.labels, self.answer = labels, answer
        self.options: dict[str, object] = {}

    def __call__(self, audio, **options):
        self.options = options
        return [ClipResult(predictions=(Prediction(self.answer, 0.5),)) for _ in audio]


@pytest.fixture(autouse=True)
def models(monkeypatch) -> dict[str, Parrot]:
    """What `Pipeline.from_pretrained` knows; no weights are read."""
    known = {
        "esc50": Parrot(ESC50_LABELS),
        "us8k": Parrot(URBANSOUND8K_LABELS),
        "urban11": Parrot(URBAN11_LABELS),
        "held3": Parrot(ESC50_LABELS),
        **{f"five-fold{k}": Parrot(ESC50_LABELS, ("dog", "siren")[k > 2]) for k in range(1, 6)},
    }
    monkeypatch.setattr(
        Pipeline, "from_pretrained", classmethod(lambda cls, name, **_: known[name])
    )
    published = replace(PUBLISHED["esc50-resnet34"], name="held3", test_fold=3)
    monkeypatch.setitem(PUBLISHED, "held3", published)
    return known


@pytest.fixture
def esc50(tmp_path) -> str:
    """A siren and two dogs in each fold."""
    root = tmp_path / "ESC-50"
    lines = ["filename,fold,target,category,src_file"]
    for fold in range(1, 6):
        for i, label in enumerate(("siren", "dog", "dog")):
            name = f"{fold}-{i}.wav"
            lines.append(f"{name},{fold},{ESC50_LABELS.index(label)},{label},{fold}{i}")
            _touch(root / "audio" / name)
    _write(root / "meta" / "esc50.csv", lines)
    return str(root)


@pytest.fixture
def urbansound8k(tmp_path) -> str:
    """A siren in each of the folds 1 and 10, and drilling in fold 10."""
    root = tmp_path / "UrbanSound8K"
    lines = ["slice_file_name,fsID,fold,classID,class"]
    for fold, label in ((1, "siren"), (10, "siren"), (10, "drilling")):
        name = f"{fold}-{label}.wav"
        lines.append(f"{name},9{fold},{fold},{URBANSOUND8K_LABELS.index(label)},{label}")
        _touch(root / "audio" / f"fold{fold}" / name)
    _write(root / "metadata" / "UrbanSound8K.csv", lines)
    return str(root)


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir()
    path.write_text("\n".join(lines))


@pytest.fixture
def measure(tmp_path, capsys):
    """Run the command; what it printed, and what it saved."""

    def run(*arguments: str) -> tuple[str, dict]:
        output = tmp_path / "figures.json"
        status = main(["evaluate", *arguments, "--output", str(output), "--overwrite"])
        printed = capsys.readouterr()
        if status:
            return printed.err, {}
        return printed.out, json.loads(output.read_text())

    return run


def test_the_data_set_is_told_by_its_table(measure, esc50, urbansound8k):
    text, figures = measure("esc50", "--data", esc50, "--fold", "2")
    assert text.startswith("esc50 on ESC-50, fold 2\n")
    assert (figures["n_clips"], figures["accuracy"]) == (3, pytest.approx(1 / 3, abs=1e-6))
    text, figures = measure("us8k", "--data", urbansound8k, "--fold", "1")
    assert text.startswith("us8k on UrbanSound8K, fold 1\n")
    assert (figures["n_clips"], figures["accuracy"]) == (1, 1.0)


def test_the_file_tells_what_was_measured(measure, esc50):
    for fold, told in (("2", ("esc50", 2)), ("all", ("five", "all"))):
        _, figures = measure(told[0], "--data", esc50, "--fold", fold, "--shifts", "2")
        assert (figures["model"], figures["fold"]) == told
        assert (figures["data"], figures["n_shifts"]) == ("ESC-50", 2)
        assert figures["soundsep_version"] == __version__


def test_without_a_fold_it_is_the_last_or_the_one_held_out(measure, esc50, urbansound8k):
    assert "fold 5\n" in measure("esc50", "--data", esc50)[0]
    assert "fold 10\n" in measure("us8k", "--data", urbansound8k)[0]
    assert "fold 3\n" in measure("held3", "--data", esc50)[0]


def test_urban11_takes_either_data_set_or_both(measure, esc50, urbansound8k):
    roots = ("--data", urbansound8k, "--data", esc50)
    text, figures = measure("urban11", *roots)
    assert text.startswith("urban11 on urban11, fold 5\n")
    assert figures["n_clips"] == 4  # three of ESC-50; of fold 10 drilling is none of the eleven
    assert figures["accuracy"] == 0.5
    assert measure("urban11", *roots[:2])[1]["n_clips"] == 1
    assert measure("urban11", *roots[2:])[1]["n_clips"] == 3


def test_folders_that_do_not_fit_are_refused(measure, esc50, urbansound8k, tmp_path):
    (tmp_path / "empty").mkdir()
    assert (
        "expected a subfolder per class" in measure("esc50", "--data", str(tmp_path / "empty"))[0]
    )
    assert "give --data or --annotations" in measure("esc50")[0]
    assert "both hold ESC-50" in measure("urban11", "--data", esc50, "--data", esc50)[0]
    both = measure("esc50", "--data", esc50, "--data", urbansound8k)[0]
    assert "only a model of urban11" in both
    assert "knows no label 'drilling'" in measure("esc50", "--data", urbansound8k)[0]
    assert "folds 1 to 5" in measure("esc50", "--data", esc50, "--fold", "6")[0]


def _own(root: Path) -> list[str]:
    """Three sirens and two dogs; returns a table of them."""
    lines = ["path,label"]
    for label, n in (("siren", 3), ("dog", 2)):
        for i in range(n):
            _touch(root / label / f"{i}.wav")
            (root / label / f"{i}.wav").write_text(f"{label}{i}")  # no two files alike
            lines.append(f"{label}/{i}.wav,{label}")
    return lines


def test_clips_of_ones_own_are_all_measured(measure, tmp_path):
    root = tmp_path / "mine"
    lines = _own(root)
    text, figures = measure("esc50", "--data", str(root))
    assert text.startswith("esc50 on mine, all clips\n")
    assert (figures["n_clips"], figures["accuracy"]) == (5, 0.6)
    (root / "clips.csv").write_text("\n".join(lines))
    told = measure("esc50", "--annotations", str(root / "clips.csv"))[1]
    assert told == {**figures, "data": "clips"}
    # The fold that a published model did not learn from is not one of them.
    folds = ("fold", *"11223")
    rows = (f"{line},{fold}" for line, fold in zip(lines, folds, strict=True))
    (root / "folds.csv").write_text("\n".join(rows))
    text, figures = measure("held3", "--annotations", str(root / "folds.csv"))
    assert (text.splitlines()[0], figures["n_clips"]) == ("held3 on folds, all clips", 5)
    for fold, n in (("2", 2), ("3", 1)):
        where = ("--annotations", str(root / "folds.csv"), "--fold", fold)
        assert measure("held3", *where)[1]["n_clips"] == n


def test_one_class_or_one_clip_of_a_class_can_be_measured(models, tmp_path, capsys):
    """They are too little to learn from, which nobody asks for."""
    output = str(tmp_path / "figures.json")
    mine = tmp_path / "mine"
    for name in ("siren/1.wav", "dog/1.wav", "loose.wav"):
        _touch(mine / name)
    (mine / "cat").mkdir()
    (mine / "one.csv").write_text("path,label\nsiren/1.wav,siren")
    assert main(["evaluate", "esc50", "--data", str(mine), "-o", output]) == 0
    printed = capsys.readouterr()
    assert "clips              2\n" in printed.out
    assert "cat/ holds no audio and is not a class" in printed.err
    assert "outside of the subfolders, left out: 1" in printed.err
    more = ["--annotations", str(mine / "one.csv"), "-o", output, "--overwrite"]
    assert main(["evaluate", "esc50", *more]) == 0
    assert "accuracy           100.00%" in capsys.readouterr().out
    # Its folds are those of the training, for which it is too little.
    fold = ["--data", str(mine), "--fold", "1", "-o", output, "--overwrite"]
    assert main(["evaluate", "esc50", *fold]) == 2
    assert "at least 2 clips" in capsys.readouterr().err


def test_names_that_look_like_parts_of_a_recording_concern_folds_alone(models, tmp_path, capsys):
    """`soundsep evaluate` has no option to say that they are none."""
    for label in ("siren", "dog"):
        for i in "123":
            _touch(tmp_path / "mine" / label / f"garden-{i}.wav")
            (tmp_path / "mine" / label / f"garden-{i}.wav").write_text(label + i)
    where = ["--data", str(tmp_path / "mine"), "-o", str(tmp_path / "figures.json"), "--overwrite"]
    assert main(["evaluate", "esc50", *where]) == 0
    assert capsys.readouterr().err == ""
    main(["evaluate", "esc50", *where, "--fold", "1"])
    assert "--group '.*' of `soundsep fit`" in capsys.readouterr().err


def test_a_clip_that_cannot_be_used_costs_the_others_nothing(models, tmp_path, monkeypatch, capsys):
    """As `soundsep fit` of the same folder; the exit code is 1."""

    class Halting(Parrot):
        def __call__(self, audio, **options):
            assert options["errors"] == "return"
            _, *rest = super().__call__(audio)
            return [ClipResult(error="the first is broken"), *rest]

    monkeypatch.setitem(models, "halting", Halting(ESC50_LABELS))
    _own(tmp_path / "mine")
    output = tmp_path / "figures.json"
    where = ["--data", str(tmp_path / "mine"), "-o", str(output)]
    assert main(["evaluate", "halting", *where]) == 1
    figures = json.loads(output.read_text())
    assert figures["n_clips"] == 4
    assert [one["reason"] for one in figures["skipped"]] == ["the first is broken"]
    printed = capsys.readouterr()
    assert "left out: the first is broken" in printed.out
    assert "clips that could not be used: 1" in printed.err


def test_folds_of_ones_own_are_those_of_the_training(measure, esc50, tmp_path, monkeypatch):
    _own(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    text, figures = measure("five", "--data", ".", "--fold", "all")
    assert text.startswith("five on mine, every fold")
    assert figures["n_clips"] == 5
    # A recording that ESC-50 has in fold 1 is not dealt out, and changes no other's fold.
    for i in range(20):
        _touch(tmp_path / "more" / "dog" / f"{i}.wav")
    _touch(tmp_path / "more" / "dog" / "10" / "x.wav")
    monkeypatch.setenv("HOME", str(tmp_path))
    roots = [Path(esc50), Path("~/more")]
    learnt, held_out = open_dataset(roots, is_urban11=True).split(5)
    measured = open_dataset(roots, is_urban11=True, folds=[5])
    assert tuple(clip for clip in measured if clip.fold == 5) == held_out
    assert not {clip.path for clip in learnt} & {clip.path for clip in held_out}


def test_figures_that_exist_are_kept_unless_told_otherwise(models, esc50, tmp_path, capsys):
    output = tmp_path / "figures.json"
    output.write_text("precious")
    command = ["evaluate", "esc50", "--data", esc50, "--fold", "5"]
    for arguments in (["--output", str(output)], ["--output", "clip.wav"]):
        assert main([*command, *arguments]) == 2
        err = capsys.readouterr().err
        assert "exists already" in err or "has the suffix of a recording" in err
    assert output.read_text() == "precious"
    assert main([*command, "--output", str(output), "--overwrite"]) == 0
    assert "confusion" in json.loads(output.read_text())


def test_an_output_that_cannot_be_written_is_told_before_the_work(models, esc50, tmp_path, capsys):
    command = ["evaluate", "esc50", "--data", esc50, "--output", str(tmp_path)]
    for arguments in (command, ["evaluate-mixtures", *command[2:4], "--output", "/dev/null/x"]):
        assert main(arguments) == 2
        assert f"cannot write to {arguments[-1]}" in capsys.readouterr().err
    assert not models["esc50"].options


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_left_to_its_reader(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    check_output(tmp_path / "pipe")  # opening it would wait for ever


def test_a_published_model_is_not_measured_on_what_it_learnt(measure, models, esc50):
    error = measure("held3", "--data", esc50, "--fold", "4")[0]
    assert "trained on fold 4" in error
    assert "--fold 3" in error
    assert not models["held3"].options  # refused before anything was computed
    assert measure("held3", "--data", esc50, "--fold", "3")[1]["n_clips"] == 3
    assert measure("held3", "--data", esc50, "--fold", "4", "--any-fold")[1]["n_clips"] == 3


def test_all_folds_are_measured_each_by_its_own_model(measure, monkeypatch, esc50):
    text, figures = measure("five", "--data", esc50, "--fold", "all")
    lines = text.splitlines()
    assert [line.split()[-1] for line in lines[1:6]] == ["66.67%"] * 2 + ["33.33%"] * 3
    assert lines[6].split()[-1] == "46.67%"
    assert (figures["n_clips"], figures["accuracy"]) == (15, pytest.approx(7 / 15, abs=1e-6))
    wrong = replace(PUBLISHED["held3"], name="five-fold4", test_fold=1)
    monkeypatch.setitem(PUBLISHED, "five-fold4", wrong)
    assert (
        "five-fold4 was trained on fold 4" in measure("five", "--data", esc50, "--fold", "all")[0]
    )


def test_shifts_and_batch_size_reach_the_pipeline(measure, models, esc50):
    measure("esc50", "--data", esc50, "--shifts", "5", "--batch-size", "3")
    assert models["esc50"].options["n_shifts"] == 5
    assert models["esc50"].options["batch_size"] == 3


@pytest.mark.parametrize("fold", ["0", "every", "-1"])
def test_a_fold_is_a_number_or_all(fold, esc50, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "esc50", "--data", esc50, f"--fold={fold}"])
    assert "--fold" in capsys.readouterr().err
