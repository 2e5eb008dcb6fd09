"""dev.py, also as Windows would have it: these tests run on Linux."""

from __future__ import annotations

import importlib.util
import ntpath
import posixpath
import runpy
import sys
from pathlib import Path, PureWindowsPath

import pytest

DEV = Path(__file__).resolve().parents[2] / "dev.py"


@pytest.fixture
def dev(monkeypatch, tmp_path):
    """The module, with an environment in a temporary folder and programs that are not run."""
    spec = importlib.util.spec_from_file_location("dev", DEV)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    module.ran, module.made = [], []
    monkeypatch.setattr(module, "run", lambda *command: module.ran.append(list(map(str, command))))

    def create(folder, *, with_pip):
        assert with_pip
        module.made.append(folder)
        module.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        module.PYTHON.touch()

    monkeypatch.setattr(module.venv, "create", create)
    return module


@pytest.mark.parametrize(
    ("program", "folder", "expected"),
    [
        (r"C:\sound sep\.venv\Scripts\soundsep", r"C:\sound sep", r".venv\Scripts\soundsep"),
        (r"c:\soundsep\.venv\Scripts\soundsep", r"C:\SoundSep", r".venv\Scripts\soundsep"),
        (r"C:\soundsep\.venv\Scripts\soundsep", r"C:\soundsep\docs", r"..\.venv\Scripts\soundsep"),
        (r"C:\soundsep\soundsep", r"D:\recordings", r"C:\soundsep\soundsep"),
        (r"C:\my tools\soundsep", r"D:\recordings", r'"C:\my tools\soundsep"'),
        (r"\\server\share\soundsep", r"D:\recordings", r"\\server\share\soundsep"),
    ],
)
def test_the_line_to_type_on_windows(dev, program, folder, expected):
    assert dev.to_type(program, folder, ntpath) == expected


@pytest.mark.parametrize(
    ("program", "folder", "expected"),
    [
        ("/home/a b/.venv/bin/soundsep", "/home/a b", ".venv/bin/soundsep"),
        ("/home/a/.venv/bin/soundsep", "/home/c d", "../a/.venv/bin/soundsep"),
        ("/home/a b/.venv/bin/soundsep", "/tmp", "'../home/a b/.venv/bin/soundsep'"),
    ],
)
def test_the_line_to_type_elsewhere(dev, program, folder, expected):
    assert dev.to_type(program, folder, posixpath) == expected


def test_programs_lie_in_another_folder_on_windows(dev):
    folder, python = dev.programs(PureWindowsPath(r"C:\soundsep\.venv"), "nt")
    assert str(folder) == r"C:\soundsep\.venv\Scripts"
    assert str(python) == r"C:\soundsep\.venv\Scripts\python.exe"


def test_a_recording_is_found_from_the_root_of_the_repository(dev, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    dev.demo("yard.wav", "/elsewhere/night.wav")
    assert dev.ran[-1][-2:] == [str(tmp_path / "yard.wav"), "/elsewhere/night.wav"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(" classify RECORDING")


def test_an_environment_is_made_once(dev):
    dev.prepare("dev")
    dev.prepare("dev")
    assert dev.made == [dev.VENV]
    installed = [command[1:4] + command[-2:] for command in dev.ran]
    assert installed == [["-m", "pip", "install", "--editable", ".[dev]"]]


def test_an_environment_of_another_system_is_completed(dev):
    dev.prepare("dev")
    dev.PYTHON.unlink()  # as if it had been made in Windows, and this were its Linux
    dev.prepare("dev")
    assert len(dev.made) == len(dev.ran) == 2


def test_an_old_python_is_told_so(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    with pytest.raises(SystemExit, match=r"needs Python 3\.10 or newer"):
        runpy.run_path(str(DEV), run_name="__main__")


@pytest.mark.parametrize("options", [(), ("-q", "--durations=10")])
def test_all_tests_share_the_cores(dev, monkeypatch, options):
    monkeypatch.setattr(dev, "prepare", lambda extras: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "")  # so that what is there now comes back
    monkeypatch.delenv("OMP_NUM_THREADS")
    dev.test(*options)
    assert dev.ran[0][3:5] == ["-n", "auto"]
    assert dev.os.environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("options", [("tests/unit/models",), ("-q", "-m", "slow"), ("-k", "mel")])
def test_some_tests_have_the_machine_for_themselves(dev, monkeypatch, options):
    monkeypatch.setattr(dev, "prepare", lambda extras: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "")  # so that what is there now comes back
    monkeypatch.delenv("OMP_NUM_THREADS")
    dev.test(*options)
    assert dev.ran[0][1:] == ["-m", "pytest", *options]
    assert "OMP_NUM_THREADS" not in dev.os.environ
