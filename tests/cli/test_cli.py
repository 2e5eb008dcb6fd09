from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import soundfile

import soundsep
from soundsep import Classifier, ClassifierConfig, MelConfig
from soundsep.checkpoints import DEFAULT_EVENT_MODEL, DEFAULT_MODEL, PUBLISHED
from soundsep.cli import main, plot
from soundsep.cli.commands import COMMANDS, make_parser
from soundsep.cli.versions import versions
from soundsep.labels import ESC50_LABELS


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    config = ClassifierConfig(
        labels=ESC50_LABELS, network="resnet18", frontend=MelConfig(n_mels=8), window_seconds=2.5
    )
    folder = tmp_path_factory.mktemp("model")
    Classifier(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def clips(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "clips"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.wav", "b.flac", "deeper/c.ogg"):
        soundfile.write(folder / name, 0.1 * rng.standard_normal(16_000), 16_000)
    (folder / "notes.txt").write_text("not audio")
    return folder


def json_lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_folder_is_searched_for_audio(model, clips, capsys):
    assert main(["classify", "--model", model, "--json", "--top", "2", str(clips)]) == 0
    found = json_lines(capsys.readouterr().out)
    assert [Path(r["path"]).name for r in found] == ["a.wav", "b.flac", "c.ogg"]
    assert all(len(r["predictions"]) == 2 for r in found)


def test_the_table_names_file_and_labels(model, clips, capsys):
    assert main(["classify", "--model", model, "--top", "3", str(clips / "a.wav")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("a.wav, 1.0 s")
    assert len(lines) == 4
    assert all(line.split()[0] in ESC50_LABELS for line in lines[1:])


def test_patterns_are_expanded(model, clips, capsys):
    assert main(["classify", "--model", model, "--json", str(clips / "*.flac")]) == 0
    assert len(json_lines(capsys.readouterr().out)) == 1


def test_a_bad_file_is_reported_and_the_others_go_on(model, clips, capsys):
    files = [str(clips / "a.wav"), str(clips / "notes.txt"), "gone.wav", str(clips / "b.flac")]
    assert main(["classify", "--model", model, *files]) == 1
    printed = capsys.readouterr()
    assert "a.wav" in printed.out
    assert "b.flac" in printed.out
    assert "notes.txt cannot be read as audio" in printed.err
    assert "gone.wav does not exist" in printed.err
    assert "2 of 4 recordings failed" in printed.err


def test_bad_files_are_in_the_json_too(model, capsys):
    assert main(["classify", "--model", model, "--json", "gone.wav"]) == 1
    assert "does not exist" in json_lines(capsys.readouterr().out)[0]["error"]


def test_an_empty_folder_is_an_error(model, tmp_path, capsys):
    assert main(["classify", "--model", model, str(tmp_path)]) == 2
    assert "no recordings in" in capsys.readouterr().err


def test_an_unknown_model_is_an_error(clips, capsys):
    assert main(["classify", "--model", "nonesuch", str(clips)]) == 2
    assert "esc50-resnet34" in capsys.readouterr().err


def test_models_are_listed(capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{DEFAULT_MODEL}  (1.2 MB, the default)")
    assert f"\n{DEFAULT_EVENT_MODEL}  (1.4 MB, the default for events)\n" in text
    assert "esc50-resnet34" in text
    assert "non-commercial" in text
    assert "-fold" not in text
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows if row["default"]] == [DEFAULT_MODEL]
    assert [row["name"] for row in rows if row["events_default"]] == [DEFAULT_EVENT_MODEL]


def test_every_model_is_listed_with_a_figure(capsys):
    assert main(["models", "--all"]) == 0
    for block in re.split(r"\n(?=\S)", capsys.readouterr().out):
        assert re.search(r" (\d\d\.\d\d%|0\.\d\d\d|\d\.\d dB) ", block), block


def test_models_of_single_folds_are_listed_on_request(capsys):
    assert main(["models", "--all", "--json"]) == 0
    names = [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert sorted(names) == sorted(PUBLISHED)
    assert names[0] == DEFAULT_MODEL


def test_what_is_said_of_models_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["models"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "https:" not in line]
    assert max(map(len, lines)) <= 60
    assert all(line.startswith(" " * 4) for line in lines if line.lstrip().startswith("non-com"))


def test_a_model_is_shown_with_its_labels_files_and_card(capsys):
    assert main(["models", DEFAULT_MODEL]) == 0
    text = capsys.readouterr().out
    folder = PUBLISHED[DEFAULT_MODEL].name
    assert re.search(rf"files: /.*/{folder}$", text, re.MULTILINE)
    assert f"/weights/{folder}/model.safetensors" in text
    assert "50 labels: dog; rooster;" in text
    assert f"\n# {folder}\n" in text
    assert "library_name" not in text


def test_a_model_that_is_not_here_is_shown_too(capsys):
    assert main(["models", "audioset-mn04"]) == 0
    text = capsys.readouterr().out
    assert "files: not on this machine" in text
    assert f"published at {PUBLISHED['audioset-mn04'].files[0].url}" in text


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (["models", "esc50-mn4"], "did you mean 'esc50-mn04'?"),
        (["classify", "--model", "esc50-mn4", "gone.wav"], "did you mean 'esc50-mn04'?"),
        (["recipes", "finetun"], "did you mean 'finetune'?"),
        (["clasify"], "did you mean 'classify'? (choose from"),
        (["classify", "--tpo", "3", "a.wav"], "arguments: --tpo, did you mean '--top'?"),
        (["events", "a.wav", "--merge_gap=2"], "--merge_gap=2, did you mean '--merge-gap'?"),
        (["--versoin"], "did you mean '--version'?"),
        (["train", "--data", "x", "--out", "y", "--recipe", "finetun"], "did you mean 'finetune'?"),
        (["events", "a.wav", "--format", "audacty"], "did you mean 'audacity'?"),
    ],
)
def test_a_name_that_is_nearly_right_gets_a_hint(wrong, hint, capsys):
    try:
        status = main(wrong)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert hint in capsys.readouterr().err


def test_an_unknown_option_shows_the_usage_of_its_command(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["classify", "--nonesuch", "a.wav"])
    error = capsys.readouterr().err
    assert error.startswith("usage: soundsep classify [-h]")
    assert error.endswith("soundsep classify: error: unrecognized arguments: --nonesuch\n")


@pytest.mark.parametrize("name", ["-night.wav", "-h.wav", "-k.wav", "--hop.wav"])
@pytest.mark.parametrize(("before", "after"), [([], []), ([], ["yard.wav"]), (["--hop", "5"], [])])
def test_a_file_whose_name_begins_with_a_dash_is_told_from_an_option(
    name, before, after, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    with pytest.raises(SystemExit):
        main(["events", *before, name, *after])  # as a shell makes of *.wav
    assert f"; the file {name} is given as ./{name}\n" in capsys.readouterr().err


def test_help_that_only_argparse_asks_for_is_not_given(tmp_path, monkeypatch, capsys):
    """That of Python 3.13 takes -h.wav for -h."""
    monkeypatch.chdir(tmp_path)
    Path("-h.wav").touch()
    parser = make_parser()
    parser._given = ["--hop", "5", "-h.wav"]
    with pytest.raises(SystemExit, match="2"):
        parser.print_help()
    assert "; the file -h.wav is given as ./-h.wav\n" in capsys.readouterr().err


def test_help_is_given_beside_a_file_whose_name_begins_as_its_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("-h.wav").touch()
    for help_option in ("-h", "--help"):
        with pytest.raises(SystemExit, match="0"):
            main(["events", help_option, "-h.wav"])
        assert capsys.readouterr().out.startswith("usage: soundsep events")


def test_the_bare_command_shows_examples_that_can_be_typed(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) < 15
    shown = re.findall(r"^  soundsep (.*?)  ", text, re.MULTILINE)
    assert len(shown) > 3
    for line in shown:
        make_parser().parse_args(line.split())


def test_a_recording_in_place_of_a_command_is_told_what_to_type(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, hint in (
        ("yard.wav", ", did you mean: soundsep classify yard.wav"),
        ("my yard.wav", ", did you mean: soundsep classify 'my yard.wav'"),
        ("gone.wav", ""),
        ("a" * 300, ""),  # longer than a name can be
    ):
        if hint:
            Path(name).touch()
        with pytest.raises(SystemExit):
            main([name])
        assert f"'{name}'{hint} (choose from" in capsys.readouterr().err


def test_the_package_runs_as_a_command():
    command = [sys.executable, "-m", "soundsep", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    own, system, *packages = done.stdout.splitlines()
    assert own == f"soundsep {soundsep.__version__}"
    assert system == f"Python {platform.python_version()}, {platform.platform()}"
    assert f"torch {version('torch')}" in packages
    assert f"soundfile {version('soundfile')}" in packages


@pytest.mark.parametrize("command", [["events", "x.wav"], ["events"], ["nonesuch"]])
def test_versions_are_all_that_is_shown(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version", *command])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"{versions()}\n"


def test_versions_are_shown_where_every_dependency_is_missing():
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('numpy', 'scipy', 'soundfile', 'torch', 'tqdm')))\n"
        "from soundsep.cli import main\n"
        "main(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{versions()}\n"


def test_a_package_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr("soundsep.cli.versions.PACKAGES", ("torch", "no-such-package"))
    assert versions().splitlines()[2:] == [
        f"torch {version('torch')}",
        "no-such-package: not installed",
    ]


@pytest.mark.parametrize(
    "command",
    [
        [],
        *([c.__name__.rpartition(".")[2].replace("_", "-")] for c in COMMANDS),
        *(["plot", kind] for kind in (*plot.OF_SOUND, *plot.OF_TRAINING)),
    ],
)
def test_help_texts(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")  # examples are broken into lines of this length
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "usage: soundsep" in text
    example = text.partition("\nexample: soundsep ")[2]
    arguments = shlex.split(example)
    assert arguments[: max(len(command), 1)] == (command or ["events"])
    assert callable(make_parser().parse_args(arguments).run)  # the command takes it


def every_parser(parser):
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from every_parser(below)


@pytest.mark.parametrize("parser", [*every_parser(make_parser())], ids=lambda parser: parser.prog)
def test_every_command_and_option_says_what_it_does(parser):
    assert parser.description
    silent = [
        action.option_strings or action.dest
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert silent == []


def test_the_default_epochs_of_a_separator_are_those_of_the_recipe(monkeypatch, capsys):
    from soundsep.training.separator import SeparationRecipe

    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["train-separator", "--help"])
    assert f"(default: {SeparationRecipe().epochs})" in capsys.readouterr().out


def test_help_begins_with_a_commands_own_options(capsys):
    with pytest.raises(SystemExit):
        main(["classify", "--help"])
    options = re.findall(r"^  (?:-\w \w+, )?(--[\w-]+)", capsys.readouterr().out, re.MULTILINE)
    assert options[:3] == ["--model", "--top", "--separator"]
    assert options[-3:] == ["--runtime", "--batch-size", "--processes"]


@pytest.mark.parametrize("k", ["0", "-1", "x"])
def test_bad_numbers_are_refused(k, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["classify", "--top", k, "a.wav"])
    assert stop.value.code == 2
    assert "positive integer" in capsys.readouterr().err


def test_the_installed_command_answers_without_loading_torch():
    code = (
        "import sys, soundsep.cli\n"
        "try: soundsep.cli.main(['--version'])\n"
        "finally: assert not {'torch', 'concurrent.futures'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("soundsep ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["recipes", "models", "--help", "classify -h", "--version", ""])
def test_a_full_disk_is_one_line_of_error(command, unbuffered):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "soundsep.cli", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


def test_what_was_printed_before_a_failure_is_not_lost():
    code = (
        "import soundsep.cli.recipes as command\n"
        "def run(arguments):\n"
        "    print('figures')\n"
        "    raise PermissionError(13, 'not yours')\n"
        "command._run = run\n"
        "from soundsep.cli import main\n"
        "print(main(['recipes']), 'after')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "figures\n2 after\n"
    assert "not yours" in done.stderr


def test_a_name_that_the_terminal_cannot_show_is_no_error(model, tmp_path):
    clip = tmp_path / "sirène.wav"
    soundfile.write(clip, 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    for command in (["classify"], ["events", "--format", "csv"]):
        done = subprocess.run(
            [sys.executable, "-m", "soundsep.cli", *command, "--model", model, str(clip)],
            capture_output=True,
            env=os.environ | {"PYTHONIOENCODING": "ascii"},
        )
        assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_program_gets_names_as_they_are(model, tmp_path):
    """On Windows and in plain C locales they were escaped, so that no file had them."""
    names = [b"s\xe2\x9a\x99 \xc4\x8d.wav", *([b"bad\xff.wav"] if sys.platform == "linux" else [])]
    clips = [str(tmp_path / os.fsdecode(name)) for name in names]
    for clip in clips:
        soundfile.write(
            os.fsencode(clip), 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000
        )
    command = [sys.executable, "-m", "soundsep.cli", "events", "--model", model, "--format", "csv"]
    command += ["--threshold", "0.001", *clips]
    output = tmp_path / "out.csv"
    subprocess.run([*command, "-o", str(output)], capture_output=True, check=True)
    written = output.read_bytes()
    assert all(name in written for name in names)
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert done.stdout.splitlines() == written.splitlines()


def test_a_closed_pipe_is_not_an_error(model, clips):
    command = [sys.executable, "-m", "soundsep.cli", "classify", "--model", model, str(clips)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read().decode() == "soundsep: passed over: 1 .txt\n"
        assert process.wait() == 0


@pytest.mark.parametrize("log", ["full", "without a reader"])
def test_a_log_that_takes_no_line_does_not_stop_the_run(log, model, clips, tmp_path):
    """A reader that has gone was taken for that of the results: nothing was done, with code 0."""
    if log == "full":
        if not Path("/dev/full").exists():
            pytest.skip("no full device here")
        stderr = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stderr = os.pipe()
        os.close(reader)
    output = tmp_path / "out.csv"
    command = [sys.executable, "-m", "soundsep.cli", "events", "--model", model]
    command += ["nothing.wav", str(clips), "-o", str(output)]
    done = subprocess.run(command, stderr=stderr, check=False)
    os.close(stderr)
    assert done.returncode == 1  # for the recording that is not there
    record = json_lines((tmp_path / ".out.csv.jsonl").read_text("utf-8"))
    ended = {Path(r["path"]).name: "error" in r for r in record if "unfinished" not in r}
    assert ended == {"nothing.wav": True, "a.wav": False, "b.flac": False, "c.ogg": False}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
def test_too_little_memory_is_one_line_of_error(error, monkeypatch, capsys):
    def fail(arguments):
        raise error

    monkeypatch.setattr("soundsep.cli.recipes._run", fail)
    assert main(["recipes"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "not enough memory" in line


@pytest.mark.parametrize("error", [RuntimeError("a fault of ours"), ImportError("another")])
def test_other_faults_are_not_called_a_lack_of_memory(error, monkeypatch):
    def fail(arguments):
        raise error

    monkeypatch.setattr("soundsep.cli.recipes._run", fail)
    with pytest.raises(type(error), match=str(error)):
        main(["recipes"])


STARTS = {
    "script": "sys.exit(script.load()())",
    "package": "runpy.run_module('soundsep', run_name='__main__', alter_sys=True)",
    "cli": "runpy.run_module('soundsep.cli', run_name='__main__', alter_sys=True)",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("imported", ["argparse", "soundsep.cli.parquet", "torch"])
def test_ctrl_c_during_an_import_is_answered_as_later_on(start, imported, model, clips):
    code = f"""
import runpy, signal, sys
from importlib.metadata import entry_points
[script] = entry_points(group="console_scripts", name="soundsep")
class CtrlC:
    def find_spec(name, *_):
        if name == {imported!r}:
            signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, CtrlC)
{start}
"""
    command = [sys.executable, "-c", code, "classify", "--model", model, str(clips)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "soundsep: stopped\n")


ARGUMENTS = {
    "events": ["a.wav"],
    "summary": ["a.csv"],
    "report": ["a.wav", "-o", "a.html"],
    "listen": [],
    "separate": ["a.wav", "-o", "a"],
    "fit": ["a", "-o", "b"],
    "recipes": [],
    "download": ["esc50", "a"],
    "train": ["-o", "a"],
    "train-separator": ["--data", "a", "-o", "b"],
    "evaluate": ["a"],
    "evaluate-events": ["--data", "a", "--fold", "1", "b"],
    "evaluate-mixtures": ["--data", "a"],
    "make-scenes": ["--data", "a", "--fold", "1", "-o", "b"],
    "export": ["a"],
    "push": ["a", "b/c"],
    "plot": ["waveform", "a.wav"],
}


def test_no_command_loses_ctrl_c_while_torch_is_imported(tmp_path):
    code = """
import json, signal, sys
from soundsep.cli import main
class Stop(BaseException):
    pass
class Finder:
    def find_spec(name, *_):
        if name == "torch":
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise Stop from None
            raise ImportError
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder)
answers = {}
for arguments in json.loads(sys.argv[1]):
    try:
        answers[arguments[0]] = main(arguments)
    except Stop:
        answers[arguments[0]] = "not held back"
print(json.dumps(answers))
"""
    others = {"example": [], "models": []}  # they do without it
    usual = {c.__name__.rpartition(".")[2].replace("_", "-"): ["a"] for c in COMMANDS}
    commands = [[name, *words] for name, words in (usual | ARGUMENTS).items() if name not in others]
    command = [sys.executable, "-c", code, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout) == {name: 130 for name, *_ in commands}


def test_the_import_of_torch_leaves_the_collector_as_it_was():
    code = """
import gc, sys
from soundsep.cli.startup import import_torch
from soundsep.cli.versions import versions
import_torch()
print("torch" in sys.modules, gc.isenabled(), gc.get_freeze_count() > 10_000)
gc.unfreeze()
import_torch()
print(gc.get_freeze_count())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True", "0"]
