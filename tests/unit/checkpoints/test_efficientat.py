"""Other projects' state dicts: found, read, converted; with a local server and random weights."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import pickle
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from soundsep import Classifier, ClassifierConfig
from soundsep.checkpoints import fetch, locate
from soundsep.checkpoints.efficientat import read_efficientat
from soundsep.checkpoints.files import write_checkpoint
from soundsep.checkpoints.registry import PUBLISHED, PublishedFile
from soundsep.checkpoints.resolve import resolve
from soundsep.errors import ConfigError, WeightsError
from soundsep.frontends import KaldiMelConfig
from soundsep.labels import AUDIOSET_LABELS
from soundsep.models import build_network

NAME, FILE = "audioset-mn04", "mn04_as_mAP_432.pt"
FREE, FREE_FILE = "audioset-mn10", "mn10_as_mAP_471.pt"
SHIPPED = PUBLISHED[NAME]  # which tests replace
SECTIONS = {"stem.": "features.0.", "head.0.": "classifier.2.", "head.3.": "classifier.5."}


def their_name(ours: str) -> str:
    """EfficientAT's name of a tensor, by rules of its own: a block's layers are counted."""
    for section, theirs in (*SECTIONS.items(), ("tail.", "features.16.")):
        if ours.startswith(section):
            return theirs + ours.removeprefix(section)
    _, n, layer, rest = ours.split(".", 3)
    layers = ["expand", "depthwise", "excitation", "project"]
    if n == "0":
        layers.remove("expand")
    if int(n) not in (3, 4, 5, 10, 11, 12, 13, 14):
        layers.remove("excitation")
    rest = re.sub("^squeeze", "conc_se_layers.0.fc1", rest)
    rest = re.sub("^excite", "conc_se_layers.0.fc2", rest)
    return f"features.{int(n) + 1}.block.{layers.index(layer)}.{rest}"


def random_state(network: str) -> dict[str, torch.Tensor]:
    """In our names, with statistics that differ from layer to layer."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        state = build_network(network, 527).state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.2 + 0.01)
        else:
            tensor.fill_(len(name))
    return state


@pytest.fixture(scope="module")
def ours() -> dict[str, torch.Tensor]:
    return random_state("mn04")


@pytest.fixture
def theirs(ours: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {their_name(name): tensor for name, tensor in ours.items()}


def published(path: Path, sha256: bool = True) -> PublishedFile:
    body = path.read_bytes()
    return PublishedFile(
        path.name,
        hashlib.sha256(body).hexdigest() if sha256 else None,
        len(body),
        f"https://invalid.example/{path.name}",
    )


@pytest.fixture
def source(
    ours: dict[str, torch.Tensor],
    theirs: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A file as upstream serves it, and a table entry that wants this one and its conversion."""
    path = tmp_path / "served" / NAME / FILE
    path.parent.mkdir(parents=True)
    torch.save(theirs, path)
    config, tensors = read_efficientat(path, "mn04")
    write_checkpoint(tmp_path / "expected", config, tensors)
    entry, upstream = PUBLISHED[NAME], PUBLISHED[NAME].upstream
    assert upstream is not None
    converted = tuple(
        replace(published(tmp_path / "expected" / file.name), url=None)
        for file in upstream.converted
    )
    changed = replace(
        entry, files=(published(path),), upstream=replace(upstream, converted=converted)
    )
    monkeypatch.setitem(PUBLISHED, NAME, changed)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch, "BACKOFF_SECONDS", 0.001)
    return path


def damaged(body: bytes) -> bytes:
    """Of the same length."""
    return body[:-1] + bytes([body[-1] ^ 1])


def result_folder() -> Path:
    entry = PUBLISHED[NAME]
    assert entry.upstream is not None
    return locate.cache_folder(replace(entry, files=entry.upstream.converted))


@pytest.fixture
def asked(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a base URL that serves the file has been asked for."""
    paths: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *args: object) -> None:
            paths.append(self.path)

        def log_message(self, *args: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(source.parents[1]))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", f"http://127.0.0.1:{server.server_port}")
    yield paths
    server.shutdown()
    server.server_close()
    thread.join()


# --- reading


def test_every_tensor_arrives_under_our_name(source: Path, ours: dict[str, torch.Tensor]) -> None:
    _, tensors = read_efficientat(source, "mn04")
    assert tensors.keys() == {f"network.{name}" for name in ours}
    for name, tensor in ours.items():
        assert torch.equal(tensors[f"network.{name}"], tensor), name


def test_config_is_that_of_a_classifier(source: Path) -> None:
    config = ClassifierConfig(
        labels=AUDIOSET_LABELS,
        network="mn04",
        frontend=KaldiMelConfig(),
        activation="sigmoid",
        window_seconds=5.0,
        clip_level_db=-35.0,
    )
    assert ClassifierConfig.from_dict(read_efficientat(source, "mn04")[0]["classifier"]) == config


def test_pinned_config_is_the_one_that_is_written(source: Path, tmp_path: Path) -> None:
    assert SHIPPED.upstream is not None
    written = tmp_path / "expected" / "config.json"
    assert fetch.mismatch(written, SHIPPED.upstream.converted[1]) is None


def test_reading_leaves_the_random_state_alone(source: Path) -> None:
    before = torch.get_rng_state()
    read_efficientat(source, "mn04")
    assert torch.equal(before, torch.get_rng_state())


class Trap:
    """Unpickling it leaves a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("sprung",))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", [lambda trap: trap, lambda trap: {"features.0.0.weight": trap}])
def test_code_in_a_pickle_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool, wrap: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(wrap(Trap()), FILE, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match="never unpickled"):
        read_efficientat(Path(FILE), "mn04")
    Path(FILE).write_bytes(pickle.dumps(wrap(Trap())))
    with pytest.raises(WeightsError, match="never unpickled"):
        read_efficientat(Path(FILE), "mn04")
    assert not Path("sprung").exists()
    pickle.loads(Path(FILE).read_bytes())
    assert Path("sprung").exists()  # the trap works


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_truncated_file_is_refused(source: Path, kept: float) -> None:
    body = source.read_bytes()
    source.write_bytes(body[: int(len(body) * kept)])
    with pytest.raises(WeightsError, match=f"{FILE} is damaged"):
        read_efficientat(source, "mn04")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=re.escape(FILE)):
        read_efficientat(tmp_path / FILE, "mn04")


BIAS = "features.0.1.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(BIAS), f"it lacks '{BIAS}'"),
        (lambda s: s.clear(), "it lacks '.*' and 311 more"),
        (lambda s: s.update(surplus=torch.zeros(1)), "it also has 'surplus'"),
        (lambda s: s.update({BIAS: torch.zeros(9)}), r"float32 \(9,\) instead of float32 \(8,\)"),
        (lambda s: s.update({BIAS: torch.zeros(8).double()}), r"float64 \(8,\) instead"),
        (lambda s: s.update({BIAS: torch.zeros(8, device="meta")}), "unusual float32"),
        (lambda s: s.update({BIAS: 3.0}), "is float instead"),
        (lambda s: s.update({BIAS: [1.0] * 8}), "is list instead"),
    ],
)
def test_other_contents_are_refused(
    theirs: dict[str, torch.Tensor], tmp_path: Path, change: Any, message: str
) -> None:
    change(theirs)
    torch.save(theirs, tmp_path / FILE)
    with pytest.raises(WeightsError, match=message):
        read_efficientat(tmp_path / FILE, "mn04")


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], "text", None])
def test_something_else_than_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / FILE)
    with pytest.raises(WeightsError, match="expected a state dict"):
        read_efficientat(tmp_path / FILE, "mn04")


def test_weights_of_another_width_are_refused(source: Path) -> None:
    with pytest.raises(WeightsError, match="no AudioSet model 'mn10'"):
        read_efficientat(source, "mn10")


# --- finding


def check(folder: Path, ours: dict[str, torch.Tensor]) -> None:
    classifier = Classifier.from_pretrained(folder)
    assert classifier.labels == AUDIOSET_LABELS
    state = classifier.network.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(state[name], tensor) for name, tensor in ours.items())


def test_fetched_and_converted_once(asked: list[str], ours: dict[str, torch.Tensor]) -> None:
    folder = resolve(NAME, progress=False)
    assert folder == result_folder()
    assert asked == [f"/{NAME}/{FILE}"]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    check(folder, ours)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert resolve(NAME) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert len(asked) == 1


def test_model_scores_every_label_by_itself(asked: list[str]) -> None:
    classifier = Classifier.from_pretrained(NAME)
    scores = classifier.predict(torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0)))
    assert scores.shape == (1, 527)
    assert classifier.sample_rate == 32_000
    logits = classifier(torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(scores, logits.sigmoid())


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_damaged_conversion_is_converted_anew_without_a_download(
    asked: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = resolve(NAME, progress=False) / name
    whole = path.read_bytes()
    path.write_bytes(damaged(whole))
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    resolve(NAME)
    assert path.read_bytes() == whole
    assert len(asked) == 1


def test_wrong_download_is_refused_and_never_unpickled(
    asked: list[str], source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Trap(), source)
    with pytest.raises(WeightsError, match=r"server announces \d+ bytes where \d+ are expected"):
        resolve(NAME, progress=False)
    assert not result_folder().exists()
    assert not Path("sprung").exists()


@pytest.mark.parametrize("flat", [False, True])
def test_mirror_folder_needs_no_network(
    source: Path, ours: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch, flat: bool
) -> None:
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(source.parent if flat else source.parents[1]))
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    folder = resolve(NAME)
    assert folder == result_folder()
    check(folder, ours)
    assert [path.name for path in source.parent.iterdir()] == [FILE]  # a mirror is only read


def test_mirror_may_hold_the_conversion(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(source.parents[1]))
    mirrored = source.parents[1] / "mirror" / NAME
    mirrored.parent.mkdir()
    resolve(NAME).rename(mirrored)
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(mirrored.parent))
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    assert resolve(NAME) == mirrored


def test_other_file_in_a_mirror_is_an_error(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(source.parent))
    source.write_bytes(damaged(source.read_bytes()))
    with pytest.raises(WeightsError, match=r"SOUNDSEP_WEIGHTS.*expected sha256") as caught:
        resolve(NAME)
    assert str(source) in str(caught.value)
    assert "folder of your own" not in str(caught.value)


def test_offline_names_file_url_and_place(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    with pytest.raises(WeightsError, match="SOUNDSEP_OFFLINE") as caught:
        resolve(NAME)
    (file,) = PUBLISHED[NAME].files
    assert file.url is not None
    assert file.url in str(caught.value)
    assert str(locate.cache_folder(PUBLISHED[NAME]) / FILE) in str(caught.value)


def test_conversion_to_other_bytes_is_an_error(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = PUBLISHED[NAME]
    assert entry.upstream is not None
    wrong = tuple(replace(file, sha256="0" * 64) for file in entry.upstream.converted)
    monkeypatch.setitem(
        PUBLISHED, NAME, replace(entry, upstream=replace(entry.upstream, converted=wrong))
    )
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(source.parents[1]))
    with pytest.raises(WeightsError, match="just converted"):
        resolve(NAME)


# --- a file whose hash is not known


@pytest.fixture
def free(source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of the unpinned entry, here with the weights of the small network."""
    path = tmp_path / "downloads" / FREE_FILE
    path.parent.mkdir()
    path.write_bytes(source.read_bytes())
    entry = PUBLISHED[FREE]
    assert entry.upstream is not None
    assert entry.files[0].sha256 is None
    changed = replace(
        entry,
        files=(replace(entry.files[0], size=path.stat().st_size),),
        upstream=replace(entry.upstream, network="mn04"),
    )
    monkeypatch.setitem(PUBLISHED, FREE, changed)
    return path


@pytest.mark.parametrize("offline", ["0", "1"])
def test_unpinned_file_is_never_downloaded(
    free: Path, asked: list[str], source: Path, monkeypatch: pytest.MonkeyPatch, offline: str
) -> None:
    (source.parents[1] / FREE).mkdir()
    (source.parents[1] / FREE / FREE_FILE).write_bytes(free.read_bytes())  # the mirror has it
    monkeypatch.setenv("SOUNDSEP_OFFLINE", offline)
    with pytest.raises(WeightsError, match=r"sha256 of .* is not known here") as caught:
        resolve(FREE)
    (file,) = PUBLISHED[FREE].files
    assert file.url is not None
    for part in (file.url, str(locate.cache_folder(PUBLISHED[FREE]) / FREE_FILE), str(file.size)):
        assert part in str(caught.value)
    assert "SOUNDSEP_WEIGHTS" in str(caught.value)
    assert asked == []


@pytest.mark.parametrize("place", ["mirror", "cache"])
def test_unpinned_file_put_by_hand_is_converted(
    free: Path, ours: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "mirror":
        monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(free.parent))
    else:
        target = locate.cache_folder(PUBLISHED[FREE])
        target.mkdir(parents=True)
        free.rename(target / FREE_FILE)
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    folder = resolve(FREE)
    check(folder, ours)
    # Nothing is pinned that would tell a damaged conversion, so the next use converts anew.
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(damaged(whole))
    assert resolve(FREE) == folder
    assert weights.read_bytes() == whole


def test_unpinned_file_must_have_its_size(free: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free.write_bytes(free.read_bytes() + b"\x00")
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(free.parent))
    size = PUBLISHED[FREE].files[0].size
    with pytest.raises(WeightsError, match=f"expected {size} bytes, found {size + 1}"):
        resolve(FREE)
    target = locate.cache_folder(PUBLISHED[FREE])
    target.mkdir(parents=True)
    free.rename(target / FREE_FILE)
    with pytest.raises(WeightsError, match=f"expected {size} bytes, found {size + 1}"):
        resolve(FREE)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(
    free: Path, theirs: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    changed = theirs | {BIAS: theirs[BIAS].clone().fill_(value)}
    torch.save(changed, free)
    (file,) = PUBLISHED[FREE].files
    sized = replace(PUBLISHED[FREE], files=(replace(file, size=free.stat().st_size),))
    monkeypatch.setitem(PUBLISHED, FREE, sized)
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(free.parent))
    with pytest.raises(WeightsError, match="NaN or Inf"):
        resolve(FREE)
    assert not list(locate.cache_root().rglob("model.safetensors"))


def test_the_wide_network_is_read_as_well(tmp_path: Path) -> None:
    state = random_state("mn10")
    torch.save({their_name(name): tensor for name, tensor in state.items()}, tmp_path / FREE_FILE)
    config, tensors = read_efficientat(tmp_path / FREE_FILE, "mn10")
    assert config["classifier"]["network"] == "mn10"
    assert all(torch.equal(tensors[f"network.{name}"], tensor) for name, tensor in state.items())


# --- labels and table


def test_labels_are_audiosets() -> None:
    assert len(set(AUDIOSET_LABELS)) == len(AUDIOSET_LABELS) == 527
    assert (AUDIOSET_LABELS[0], AUDIOSET_LABELS[74], AUDIOSET_LABELS[-1]) == (
        "Speech",
        "Dog",
        "Field recording",
    )


def test_mirror_must_exist(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(source.parent / "gone"))
    with pytest.raises(ConfigError, match="SOUNDSEP_WEIGHTS"):
        resolve(NAME)
