"""Recordings to try: there, small, and named by the default models as the truth says."""

from __future__ import annotations

import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile

import soundsep
from soundsep import ConfigError, Pipeline
from soundsep.checkpoints import DEFAULT_EVENT_MODEL, DEFAULT_MODEL
from soundsep.cli import main
from soundsep.datasets import read_truth
from soundsep.pipeline import Event

PACKAGE = Path(soundsep.__file__).parent
TOOL = Path(__file__).resolve().parents[3] / "tools" / "make_examples.py"
SLACK_SECONDS = 0.5  # at either end


def truth_of(name: str) -> list[Event]:
    return read_truth(soundsep.example(name).with_suffix(".csv"))


def test_every_example_is_short_and_small():
    names = soundsep.list_examples()
    assert names == ("street", "night", "morning", "knock")
    files = [soundsep.example(name) for name in names]
    for file in files:
        assert soundfile.info(file).channels == 1
        assert 5 <= soundfile.info(file).duration <= 20
    assert sum(file.stat().st_size for file in files) < 400_000
    assert {file.stem for file in (PACKAGE / "examples").glob("*.ogg")} == set(names)


def test_the_files_are_those_of_the_tool():
    scenes = runpy.run_path(str(TOOL))["SCENES"]
    assert set(scenes) == set(soundsep.list_examples())
    for name, (seconds, placed) in scenes.items():
        assert soundfile.info(soundsep.example(name)).duration == seconds
        found = {(e.start_seconds, e.end_seconds, e.label) for e in truth_of(name)}
        assert found == {(p.start_seconds, p.end_seconds, p.label) for p in placed}


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    return Pipeline.from_pretrained(DEFAULT_EVENT_MODEL)


@pytest.mark.parametrize("model", [DEFAULT_MODEL, DEFAULT_EVENT_MODEL])
def test_the_default_models_name_a_single_sound(model):
    result = Pipeline.from_pretrained(model)(soundsep.example("knock"))
    assert result.labels == ("door_wood_knock",)


@pytest.mark.parametrize("name", soundsep.list_examples())
def test_the_default_model_of_events_hears_what_sounds_and_nothing_else(pipe, name):
    events = list(pipe.events(soundsep.example(name)))
    truth = truth_of(name)
    assert {event.label for event in events} == {true.label for true in truth}
    for event in events:
        assert any(
            event.label == true.label
            and event.start_seconds >= true.start_seconds - SLACK_SECONDS
            and event.end_seconds <= true.end_seconds + SLACK_SECONDS
            for true in truth
        ), event


def test_an_unknown_name_lists_all():
    with pytest.raises(ConfigError, match=r"'stret', did you mean 'street'\?: .*street, night"):
        soundsep.example("stret")


def test_the_command_lists_and_prints_paths(capsys):
    assert main(["example"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == list(soundsep.list_examples())
    assert main(["example", "night"]) == 0
    assert capsys.readouterr().out.strip() == str(soundsep.example("night"))
    assert main(["example", "nigt"]) == 2
    assert "did you mean 'night'?" in capsys.readouterr().err


def test_a_package_in_a_zip_archive_gives_files(tmp_path):
    archive = tmp_path / "soundsep.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in PACKAGE.rglob("*"):
            if path.suffix in (".py", ".json", ".ogg", ".csv"):
                file.write(path, path.relative_to(PACKAGE.parent))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "import soundsep, soundfile\n"
        "assert soundsep.__file__.startswith(sys.path[0])\n"
        "path = soundsep.example('night')\n"
        "truth = path.with_suffix('.csv').read_text()\n"
        "print(soundfile.info(path).duration, truth.count('crickets'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == ["20.0", "1"]
