"""Names to folders, and the two files of a checkpoint."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from soundsep.checkpoints.files import write_checkpoint
from soundsep.checkpoints.registry import DEFAULT_MODEL, PUBLISHED
from soundsep.checkpoints.resolve import resolve
from soundsep.errors import ConfigError, SoundsepError, WeightsError

TENSORS = {
    "weight": torch.linspace(-2, 2, 12).reshape(3, 4),
    "num_batches_tracked": torch.tensor(123_456_789),
}
CONFIG = {"format": "test", "labels": ["Hund", "Föhn"], "rate": 0.5}


pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # importing it raises


class FakeHub(types.ModuleType):
    """Stands in for huggingface_hub: keeps the calls, answers with a folder or an error."""

    def __init__(self, answer: Path | Exception) -> None:
        super().__init__("huggingface_hub")
        self.answer = answer
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def snapshot_download(self, repo_id: str, **options: Any) -> str:
        self.calls.append((repo_id, options))
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


@pytest.mark.usefixtures("no_hub")
def test_existing_folder_is_taken_and_wins_over_the_hub() -> None:
    write_checkpoint("org/repo", CONFIG, TENSORS)
    assert resolve("org/repo") == Path("org/repo")
    assert resolve("./org/repo").samefile("org/repo")
    assert resolve(Path("org") / "repo") == Path("org/repo")
    assert resolve(str(Path("org/repo").absolute())).is_absolute()


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_checkpoint("~/mine", CONFIG, TENSORS)
    assert resolve("~/mine") == tmp_path / "mine"
    with pytest.raises(WeightsError, match="cannot write"):
        write_checkpoint("~nobody-of-that-name/mine", CONFIG, TENSORS)


@pytest.mark.skipif(os.name == "nt", reason="names of folders are narrower there")
@pytest.mark.parametrize("name", ["夜\u3000鳥", "My\u00a0models/bees", "a\nb", "./tab\t"])
def test_a_folder_may_have_any_name(name: str) -> None:
    write_checkpoint(name, CONFIG, TENSORS)
    assert resolve(name) == Path(name)


@pytest.mark.parametrize("lacking", ["config.json", "model.safetensors"])
def test_folder_must_hold_both_files(lacking: str) -> None:
    write_checkpoint("mine", CONFIG, TENSORS)
    Path("mine", lacking).unlink()
    with pytest.raises(WeightsError, match=f"lacking {lacking}"):
        resolve("mine")


def test_published_name_does_not_depend_on_the_current_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = DEFAULT_MODEL
    write_checkpoint(name, CONFIG, TENSORS)
    monkeypatch.setattr(
        "soundsep.checkpoints.resolve.find_published", lambda model, progress: Path("!")
    )
    assert PUBLISHED[name].upstream is None
    assert resolve(name) == Path("!")
    assert resolve(f"./{name}") == Path(name)
    assert resolve(Path(name)) == Path(name)


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    "name",
    [
        "./gone",
        "../gone",
        "../../gone/there",
        "/gone",
        "/gone/there",
        "~/gone-from-home",
        "~nobody-of-that-name/x",
        "a/b/c",
        "org/../repo",
        "..",
        "..\\gone",
        "\\\\host\\share\\x",
        "x" * 5000,
        Path("gone"),
        Path("esc50-resnet3"),
    ],
)
def test_absent_folder_is_named(name: str | Path) -> None:
    with pytest.raises(WeightsError, match=r"no checkpoint|not a checkpoint|cannot look"):
        resolve(name)


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    "name",
    [
        "esc50-resnet3",
        "",
        " ",
        "a\0b",
        "a\nb",
        "org/re po",
        "org/re..po",
        "org/",
        "org/.hidden",
        "-org/repo",
        "org/répo",
        "org\\repo\n",
        "org:x/repo",
        "org/repo?x=1",
        "https://example.org",
    ],
)
def test_unknown_name_lists_what_is_accepted(name: str) -> None:
    with pytest.raises(SoundsepError, match=r"esc50-resnet34.*org/repo|no checkpoint at") as caught:
        resolve(name)
    if "/" not in name:
        assert isinstance(caught.value, ConfigError)


@pytest.mark.parametrize("name", ["./mine/model.safetensors", "mine/config.json"])
def test_file_instead_of_its_folder(name: str) -> None:
    write_checkpoint("mine", CONFIG, TENSORS)
    with pytest.raises(WeightsError, match=r"is a file, .*; name the folder around it, 'mine'$"):
        resolve(name)  # and asks no Hub for a repository of that name


@pytest.mark.parametrize("name", ["mine.onnx", "./mine.onnx", "exports/mine.ONNX"])
def test_an_exported_file_says_what_runs_it(name: str) -> None:
    Path("exports").mkdir()
    Path(name).write_bytes(b"")
    with pytest.raises(WeightsError, match=r"is a file, .*OnnxClassifier\(path\)"):
        resolve(name)


# --- the hub


@pytest.mark.parametrize("variable", ["", "SOUNDSEP_OFFLINE", "HF_HUB_OFFLINE"])
def test_hub_is_asked_for_exactly_two_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    write_checkpoint(tmp_path / "snapshot", CONFIG, TENSORS)
    hub = FakeHub(tmp_path / "snapshot")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    if variable:
        monkeypatch.setenv(variable, "1")
    assert resolve("some-org/some_repo.v2") == tmp_path / "snapshot"
    ((repository, options),) = hub.calls
    assert repository == "some-org/some_repo.v2"
    assert options["allow_patterns"] == ["config.json", "model.safetensors"]
    assert options["local_files_only"] is bool(variable)


@pytest.mark.parametrize("error", [OSError("no route"), ValueError("bad id"), LookupError("x")])
def test_error_of_the_hub_is_a_weights_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", FakeHub(error))
    with pytest.raises(WeightsError, match="'org/repo'") as caught:
        resolve("org/repo")
    assert str(error) in str(caught.value)
    assert caught.value.__cause__ is error


def test_real_hub_client_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    with pytest.raises(WeightsError, match="SOUNDSEP_OFFLINE"):
        resolve("soundsep-no-such-org/no-such-repo")


def test_hub_repository_without_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", FakeHub(tmp_path))
    with pytest.raises(WeightsError, match=r"lacking config\.json and model\.safetensors"):
        resolve("org/repo")


@pytest.mark.parametrize("name", [5, None, 1.5, ["esc50-resnet34"], b"esc50-resnet34"])
def test_what_is_no_name_at_all_is_refused(name):
    with pytest.raises(ConfigError, match="the name or the folder of a model, got"):
        resolve(name)
