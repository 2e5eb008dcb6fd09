from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from soundsep._version import __version__
from soundsep.checkpoints.registry import DEFAULT_MODEL, PUBLISHED
from soundsep.models import NETWORKS


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SOUNDSEP_WEIGHTS", "SOUNDSEP_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOUNDSEP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_table_is_well_formed() -> None:
    for name, model in PUBLISHED.items():
        assert model.name in (name, f"{name}-fold5")  # the plain name of five models
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert model.description
        assert model.licence
        ours = model.files
        if model.upstream is not None:
            (file,) = model.files
            assert file.url is not None
            assert file.url.startswith("https://")
            assert file.url.endswith(f"/{file.name}")
            assert (file.sha256 is None) == (model.upstream.converted == ())
            assert model.upstream.network in NETWORKS
            ours = model.upstream.converted
        if ours or model.upstream is None:
            assert [file.name for file in ours] == ["model.safetensors", "config.json"]
        assert all(file.sha256 and not file.url for file in ours)
        for file in (*model.files, *ours):
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert file.size > 0


def test_the_default_model_is_in_the_wheel_and_in_the_source_distribution() -> None:
    project = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    name = PUBLISHED[DEFAULT_MODEL].name
    assert re.findall(r'^"weights/.*', project, re.MULTILINE) == [
        f'"weights/{name}" = "soundsep/_weights/{name}"'
    ]
    (included,) = re.findall(r"^include = (\[.*\])$", project, re.MULTILINE)
    assert f"weights/{name}" in json.loads(included)


PUBLISHED_AT = r"\d+\.\d+\.\d+"


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".dev")[0].split(".")))


def test_models_that_wait_for_a_release_are_known() -> None:
    """Until it is tagged, only a checkout, a mirror or the wheel itself has their files."""
    ours = {name: model for name, model in PUBLISHED.items() if model.upstream is None}
    assert all(re.fullmatch(PUBLISHED_AT, model.release or "") for model in ours.values())
    assert all(numbers(model.release or "") <= numbers(__version__) for model in ours.values())
    waiting = {
        name
        for name, model in ours.items()
        if ".dev" in __version__ and numbers(model.release or "") == numbers(__version__)
    }
    # No tag holds any of them yet: the list for the release of 0.2.0.
    assert waiting == (set(ours) if ".dev" in __version__ else set())
