from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import publish
from soundsep._version import __version__
from soundsep.checkpoints.efficientat import _names
from soundsep.checkpoints.registry import (
    DEFAULT_EVENT_MODEL,
    DEFAULT_MODEL,
    PUBLISHED,
    PublishedFile,
    PublishedModel,
    list_models,
    read_registry,
)
from soundsep.errors import ConfigError
from soundsep.labels import AUDIOSET_LABELS
from soundsep.models import NETWORKS

ROOT = Path(__file__).parents[3]


def test_files_of_others_are_converted_or_checked_by_their_digest() -> None:
    upstream = [model for model in PUBLISHED.values() if model.upstream is not None]
    assert [model.name for model in upstream] == ["audioset-mn04", "audioset-mn10"]
    for model in upstream:
        (file,), made = model.files, model.upstream
        assert made is not None
        assert (file.url or "").endswith(f"/{file.name}")
        assert (file.sha256 is None) == (made.converted == ())
        assert made.network in NETWORKS
        assert [f.name for f in made.converted] in ([], ["model.safetensors", "config.json"])
        assert all(f.sha256 and not f.url for f in made.converted)


def test_the_plain_name_of_five_models_is_the_last() -> None:
    assert PUBLISHED["esc50-mn04"] is PUBLISHED["esc50-mn04-fold5"]
    assert PUBLISHED["esc50-mn04"].name == "esc50-mn04-fold5"


ENTRY = {
    "name": "five",
    "description": "for tests",
    "licence": "MIT",
    "files": [
        {"name": "model.safetensors", "sha256": "0" * 64, "size": 3},
        {"name": "config.json", "sha256": "f" * 64, "size": 2},
    ],
    "also": ["plain"],
    "release": "0.2.0",
}
FOREIGN = ENTRY | {
    "files": [{"name": "a.pt", "sha256": None, "size": 1, "url": "https://example.org/a.pt"}],
    "upstream": {"network": "mn04", "reported": "nothing"},
}


def test_a_model_is_found_by_each_of_its_names() -> None:
    models = read_registry(json.dumps({"models": [ENTRY]}))
    assert list(models) == ["five", "plain"]
    assert models["plain"] is models["five"]
    assert models["five"].files[0] == PublishedFile("model.safetensors", "0" * 64, 3)
    assert read_registry(json.dumps({"models": [FOREIGN]}))["five"].files[0].sha256 is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Five"}, "'Five' is no name of a model"),
        ({"name": "../five"}, "'../five' is no name of a model"),
        ({"also": ["five"]}, "two models are called 'five'"),
        ({"description": ""}, "five needs a description"),
        ({"release": None}, "five needs model.safetensors and config.json"),
        ({"files": ENTRY["files"][:1]}, "five needs model.safetensors and config.json"),
        ({"files": [FOREIGN["files"][0] | {"name": "../a.pt"}]}, "'../a.pt' is no name of a file"),
        ({"files": [FOREIGN["files"][0] | {"size": 0}]}, "a.pt: size must be an integer"),
        ({"files": [FOREIGN["files"][0] | {"sha256": "F" * 64}]}, "a.pt: expected 64 hexadecimal"),
        (FOREIGN | {"files": [{"name": "a.pt", "sha256": None, "size": 1}]}, "https address"),
        ({"fold": 5}, "unknown 'fold'"),
    ],
)
def test_a_wrong_entry_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_registry(json.dumps({"models": [ENTRY | change]}))


@pytest.mark.parametrize("text", ["", "[]", '{"models": {}}'])
def test_a_file_that_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"registry\.json"):
        read_registry(text)


@pytest.mark.usefixtures("all_weights")
def test_the_registry_is_what_the_folders_of_weights_say() -> None:
    text = publish.REGISTRY.read_text(encoding="utf-8")
    models = publish.published_models(publish.WEIGHTS, read_registry(text))
    assert text == publish.registry_text(models)


CARD = """---
license: mit
soundsep:
  description: "Ticks: of clocks"
  licence: MIT
  test_fold: 3
  also: [tick]
  measured: {data: clocks}
---
# tick-fold3
"""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights" / "tick-fold3"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"abc")
    (folder / "config.json").write_bytes(b"{}")
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    return folder.parent


def test_a_folder_is_all_that_a_new_model_needs(weights: Path) -> None:
    foreign = read_registry(json.dumps({"models": [FOREIGN]}))
    models = read_registry(
        publish.registry_text(publish.published_models(weights, foreign, "9.9.0"))
    )
    assert list(models) == ["tick-fold3", "tick", "five", "plain"]
    assert models["tick"] == PublishedModel(
        name="tick-fold3",
        description="Ticks: of clocks",
        licence="MIT",
        test_fold=3,
        also=("tick",),
        release="9.9.0",
        files=(
            PublishedFile("model.safetensors", hashlib.sha256(b"abc").hexdigest(), 3),
            PublishedFile("config.json", hashlib.sha256(b"{}").hexdigest(), 2),
        ),
    )
    assert models["five"] == foreign["five"]


def test_a_model_keeps_its_first_release_and_its_bytes(weights: Path) -> None:
    (first,) = publish.published_models(weights, {}, "1.0.0")
    older = {first.name: first}
    assert publish.published_models(weights, older, "1.1.0") == [first]
    (weights / "tick-fold3" / "config.json").write_bytes(b"{ }")
    (changed,) = publish.published_models(weights, older, "1.0.0")  # not tagged yet
    assert changed.release == "1.0.0"
    assert changed.files[1].size == 3
    with pytest.raises(SystemExit, match=r"released with soundsep 1\.0\.0, with other bytes"):
        publish.published_models(weights, older, "1.1.0")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("README.md", "# tick", "does not begin with facts"),
        ("README.md", None, "does not begin with facts"),
        ("model.safetensors", None, "lacks model.safetensors"),
    ],
)
def test_an_incomplete_folder_is_named(
    weights: Path, name: str, text: str | None, message: str
) -> None:
    file = weights / "tick-fold3" / name
    file.unlink()
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        publish.published_models(weights, {})


def test_a_file_of_others_is_measured_and_not_typed(tmp_path: Path) -> None:
    known = PUBLISHED["audioset-mn04"]
    assert known.upstream is not None
    with torch.random.fork_rng(devices=[]):
        module = NETWORKS["mn04"](len(AUDIOSET_LABELS))
    theirs = {name: module.state_dict()[ours] for name, ours in _names(module).items()}
    file = tmp_path / known.files[0].name
    torch.save(theirs, file)
    blank = replace(
        known,
        files=(replace(known.files[0], sha256=None, size=1),),
        upstream=replace(known.upstream, converted=()),
    )
    pinned = publish.pinned(blank, file)
    assert pinned.files == (
        PublishedFile(
            file.name,
            hashlib.sha256(file.read_bytes()).hexdigest(),
            file.stat().st_size,
            known.files[0].url,
        ),
    )
    assert pinned.upstream is not None
    weights, config = pinned.upstream.converted
    assert config == known.upstream.converted[1]  # it does not depend on the weights
    assert (weights.name, weights.size) == ("model.safetensors", known.upstream.converted[0].size)
    with pytest.raises(SystemExit, match=r"not from other\.pt"):
        publish.pinned(blank, tmp_path / "other.pt")


def test_the_default_models_are_in_the_wheel_and_in_the_source_distribution() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = [PUBLISHED[name].name for name in (DEFAULT_MODEL, DEFAULT_EVENT_MODEL)]
    assert re.findall(r'^"weights/.*', project, re.MULTILINE) == [
        f'"weights/{name}" = "soundsep/_weights/{name}"' for name in names
    ]
    (included,) = re.findall(r"^include = (\[.*\])$", project, re.MULTILINE)
    assert {f"/weights/{name}" for name in names} <= set(json.loads(included))


def test_the_package_carries_the_licences_of_its_weights() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (licences,) = re.findall(r'^license = "(.*?)"', project, re.MULTILINE)
    for name in (DEFAULT_MODEL, DEFAULT_EVENT_MODEL):
        card = (ROOT / "weights" / PUBLISHED[name].name / "README.md").read_text(encoding="utf-8")
        (licence,) = re.findall(r"^license: (.*)$", card, re.MULTILINE)
        assert licence.upper() in licences.split(" AND ")
    (files,) = re.findall(r"^license-files = (\[.*\])$", project, re.MULTILINE)
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in json.loads(files)]
    # The MIT License asks for the notice of whose work it is, in every copy.
    assert re.findall(r"Copyright \(c\) \d+ (.*)", "".join(texts)) == [
        "The soundsep developers",
        "Florian Schmid",
    ]


def test_every_model_is_at_the_tag_of_a_release_or_of_the_one_in_preparation() -> None:
    """Until that is tagged, only a checkout, a mirror or the wheel itself has their files."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    tags = set(re.findall(r"^## \[(\d+\.\d+\.\d+)\] - ", changelog, re.MULTILINE))
    tags.add(__version__.partition(".dev")[0])
    ours = {name: model for name, model in PUBLISHED.items() if model.upstream is None}
    assert len(ours) > 10
    assert {name: model.release for name, model in ours.items() if model.release not in tags} == {}


def test_the_names_begin_with_the_recommended_one_and_hide_copies() -> None:
    names = list_models()
    assert names[:2] == (DEFAULT_MODEL, DEFAULT_EVENT_MODEL)
    assert len(set(names)) == len(names)
    assert not [name for name in names if "-fold" in name]
    assert set(list_models(all_folds=True)) == set(PUBLISHED)
    assert {name.rpartition("-fold")[0] or name for name in PUBLISHED} == set(names)
