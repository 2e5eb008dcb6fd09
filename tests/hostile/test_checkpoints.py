"""Models from strangers: whatever is wrong with one, it is refused and does nothing."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from soundsep import Classifier, ClassifierConfig

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

LOADER = Path(__file__).with_name("loader.py")
CONFIG, WEIGHTS = "config.json", "model.safetensors"
HEAD = "network.head.weight"


class Trap:
    """Unpickling it leaves a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch sprung",))


# --- ways to spoil a checkpoint; each takes its folder


def config(change: Callable[[dict[str, Any]], object], folder: Path) -> None:
    content = json.loads((folder / CONFIG).read_text("utf-8"))
    change(content)
    (folder / CONFIG).write_text(json.dumps(content), "utf-8")


def setting(folder: Path, **changes: Any) -> None:
    config(lambda content: content["classifier"].update(changes), folder)


def features(folder: Path, **changes: Any) -> None:
    config(lambda content: content["classifier"]["frontend"].update(changes), folder)


def frontend(folder: Path, **settings: Any) -> None:
    setting(folder, frontend=settings)


def number(field: str, digits: str, folder: Path) -> None:
    """A number that `json.dumps` would not write."""
    setting(folder, **{field: "NUMBER"})
    text = (folder / CONFIG).read_text("utf-8")
    (folder / CONFIG).write_text(text.replace('"NUMBER"', digits), "utf-8")


def text(content: str | bytes, folder: Path) -> None:
    (folder / CONFIG).write_bytes(content if isinstance(content, bytes) else content.encode())


def weights(content: bytes, folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(content)


def torch_file(legacy: bool, folder: Path) -> None:
    torch.save({"a": Trap()}, folder / WEIGHTS, _use_new_zipfile_serialization=not legacy)


def tensors(change: Callable[[dict[str, torch.Tensor]], object], folder: Path) -> None:
    content = load_file(folder / WEIGHTS)
    change(content)
    save_file({name: tensor.contiguous() for name, tensor in content.items()}, folder / WEIGHTS)


def tensor(change: Callable[[torch.Tensor], torch.Tensor], folder: Path) -> None:
    """Replace one."""
    tensors(lambda content: content.update({HEAD: change(content[HEAD])}), folder)


def with_value(value: float, dtype: torch.dtype, old: torch.Tensor) -> torch.Tensor:
    new = old.to(dtype)
    new[0, 0] = value
    return new


def header(change: Callable[[dict[str, Any]], object], folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    content = json.loads(data[8 : 8 + size])
    change(content)
    new = json.dumps(content).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(new)) + new + data[8 + size :])


def entry(folder: Path, **changes: Any) -> None:
    header(lambda content: content[HEAD].update(changes), folder)


def cut(keep: slice, folder: Path) -> None:
    weights((folder / WEIGHTS).read_bytes()[keep], folder)


def stretched(size: int, folder: Path) -> None:
    """Made long by zeros that take no room on the disk."""
    os.truncate(folder / WEIGHTS, size)


def sparse(first: bytes, size: int, folder: Path) -> None:
    weights(first, folder)
    stretched(size, folder)


def announced(folder: Path) -> None:
    """A tensor of 8 GiB, and a file that is as long."""
    size = (folder / WEIGHTS).stat().st_size
    offsets = [size, size + 2**33]
    header(
        lambda c: c.update(x={"dtype": "F32", "shape": [2**31], "data_offsets": offsets}), folder
    )
    stretched(2**33 + 2 * size, folder)


def instead(make: Callable[[Path], object], name: str, folder: Path) -> None:
    (folder / name).unlink()
    make(folder / name)


def packed(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


BAD: dict[str, Callable[[Path], object]] = {
    # files that are something else
    "pickle as weights": partial(weights, pickle.dumps(Trap())),
    "torch file as weights": partial(torch_file, False),
    "old torch file as weights": partial(torch_file, True),
    "pickle as config": partial(text, pickle.dumps(Trap())),
    "page of a login": partial(weights, b"<!doctype html><title>Sign in</title>"),
    "pointer to a large file": partial(weights, b"version https://git-lfs.github.com/spec/v1\n"),
    "empty weights": partial(weights, b""),
    "no weights": lambda folder: (folder / WEIGHTS).unlink(),
    "folder as weights": partial(instead, Path.mkdir, WEIGHTS),
    "pipe as weights": partial(instead, os.mkfifo, WEIGHTS),
    "endless device as weights": partial(instead, lambda p: p.symlink_to("/dev/zero"), WEIGHTS),
    "endless device as config": partial(instead, lambda p: p.symlink_to("/dev/zero"), CONFIG),
    "link to itself": partial(instead, lambda p: p.symlink_to(p), WEIGHTS),
    "link to a secret": partial(instead, lambda p: p.symlink_to("/etc/passwd"), WEIGHTS),
    # headers of the weights
    "header of 8 EiB": partial(weights, packed(b"{}", 2**63)),
    "header beyond the end": partial(weights, packed(b"{}", 1000)),
    "header of 90 MB": partial(sparse, packed(b"{}", 90_000_000), 90_000_008),
    "header without end": partial(weights, packed(b'{"a":' * 100_000)),
    "header is a list": partial(weights, packed(b"[1, 2]")),
    "header of words": partial(weights, packed(b'{"a": "b"}')),
    "header of nothing": partial(weights, packed(b"{}")),
    "class in the metadata": partial(
        header, lambda c: c.update(__metadata__={"klass": "os.system", "args": "touch sprung"})
    ),
    "metadata is a number": partial(header, lambda c: c.update(__metadata__=7)),
    "metadata is a list": partial(header, lambda c: c.update(__metadata__=[1])),
    "negative shape": partial(entry, shape=[-2, -64]),
    "shape that overflows": partial(entry, shape=[2**62, 4]),
    "shape of words": partial(entry, shape="large"),
    "dtype nobody knows": partial(entry, dtype="Q9"),
    "offsets beyond the end": partial(entry, data_offsets=[0, 2**40]),
    "offsets backwards": partial(entry, data_offsets=[100, 0]),
    "offsets that overlap": partial(entry, data_offsets=[0, 1024]),
    "name that leads elsewhere": partial(
        header, lambda c: c.update({"../../../etc/passwd": c.pop(HEAD)})
    ),
    "tensor of 8 GiB": announced,
    "8 GiB behind the end": partial(stretched, 2**33),
    "cut in half": partial(cut, slice(0, 500_000)),
    "last byte missing": partial(cut, slice(0, -1)),
    "first byte missing": partial(cut, slice(1, None)),
    # tensors
    "NaN": partial(tensor, partial(with_value, float("nan"), torch.float32)),
    "infinity": partial(tensor, partial(with_value, float("inf"), torch.float16)),
    "NaN in bfloat16": partial(tensor, partial(with_value, float("nan"), torch.bfloat16)),
    "beyond float32": partial(tensor, partial(with_value, 1e300, torch.float64)),
    "transposed": partial(tensor, lambda old: old.T),
    "one row more": partial(tensor, lambda old: torch.cat([old, old[:1]])),
    "single number": partial(tensor, lambda old: old.sum()),
    "no number": partial(tensor, lambda old: old[:0]),
    "integers": partial(tensor, lambda old: old.long()),
    "truth values": partial(tensor, lambda old: old > 0),
    "complex numbers": partial(tensor, lambda old: old.to(torch.complex64)),
    "tensor missing": partial(tensors, lambda content: content.pop(HEAD)),
    "tensor too many": partial(tensors, lambda content: content.update(x=torch.zeros(1))),
    # configs that are no JSON, or too much of it
    "no config": lambda folder: (folder / CONFIG).unlink(),
    "empty config": partial(text, ""),
    "config in UTF-16": partial(text, "{}".encode("utf-16")),
    "config without end": partial(text, '{"a":' * 100_000),
    "config of lists": partial(text, "[" * 500_000 + "]" * 500_000),
    "config is a list": partial(text, "[]"),
    "config of 80 MB": partial(text, "[" + 10_000_000 * '"label",'),
    "NaN as temperature": partial(number, "temperature", "NaN"),
    "infinite window": partial(number, "window_seconds", "1e999"),
    "number of 5000 digits": partial(number, "window_seconds", "9" * 5000),
    "number of 400 digits": partial(number, "window_seconds", "9" * 400),
    # configs of something else
    "no format": partial(config, lambda c: c.pop("format")),
    "format of a separator": partial(config, lambda c: c.update(format="soundsep-separator")),
    "version to come": partial(config, lambda c: c.update(format_version=2)),
    "code to import": partial(config, lambda c: c.update(auto_map={"AutoModel": "evil.Model"})),
    "no classifier": partial(config, lambda c: c.update(classifier=[])),
    # settings
    "unknown setting": partial(setting, trust_remote_code=True),
    "unknown setting of the features": partial(features, weights_file="../../../etc/passwd"),
    "network to import": partial(setting, network="os.system"),
    "network is a list": partial(setting, network=["resnet18"]),
    "features to import": partial(frontend, kind="os.system"),
    "kind is an object": partial(frontend, kind={}),
    "features of another network": partial(frontend, kind="waveform"),
    "no labels": partial(setting, labels=[]),
    "label twice": partial(setting, labels=["dog", "dog"]),
    "label is a number": partial(setting, labels=["dog", 7]),
    "label for the terminal": partial(setting, labels=["dog", "\x1b]0;owned\x07"]),
    "half a character": partial(setting, labels=["dog", "\ud800"]),
    "label too many": partial(setting, labels=["dog", "rain", "wind"]),
    "100,000 labels": partial(setting, labels=[str(i) for i in range(100_000)]),
    "temperature of 0": partial(setting, temperature=0),
    "true as a number": partial(setting, temperature=True),
    "words as a number": partial(setting, window_seconds="long"),
    "window of ages": partial(setting, window_seconds=1e308),
    "hour in steps of a sample": partial(setting, window_seconds=3600.0, hop_seconds=1e-4),
    "hop of nothing": partial(setting, hop_seconds=0.0),
    "hop backwards": partial(setting, hop_seconds=-1.0),
    "10**9 bands": partial(features, n_mels=10**9),
    "Fourier transform of 2**30": partial(features, n_fft=2**30),
    "table of 2**39": partial(features, n_fft=2**20, n_mels=2**20),
    "rate of 0": partial(features, sample_rate=0),
    "rate of 2**31": partial(features, sample_rate=2**31),
    "cosine table of 2**38": partial(
        frontend, kind="mfcc", n_fft=12, win_length=12, n_mels=2**19, n_mfcc=2**19
    ),
    "filters of days": partial(frontend, kind="gammatone", f_min=1e-9, n_bands=2**20),
    "hop of a sample": lambda folder: (
        features(folder, hop_length=1),
        setting(folder, window_seconds=16.0),
    ),
    "bands of every sample": partial(
        frontend, kind="gammatone", hop_length=1, n_bands=256, f_max=7_500.0
    ),
    "window of 20 minutes": partial(setting, window_seconds=1_200.0, hop_seconds=60.0),
    "reversed band": partial(features, f_min=4_000.0, f_max=100.0),
}

# Windows of almost a GiB, of which the usual batch has sixteen.
LARGE: dict[str, Callable[[Path], object]] = {
    "short hops": lambda folder: (
        features(folder, hop_length=8),
        setting(folder, window_seconds=18.0, hop_seconds=9.0),
    ),
    "many bands": lambda folder: (
        frontend(folder, kind="gammatone", n_bands=256, hop_length=160),
        setting(folder, window_seconds=60.0, hop_seconds=30.0),
    ),
    "long transforms": lambda folder: (
        features(folder, n_fft=2**16, n_mels=100),
        setting(folder, window_seconds=25.0, hop_seconds=20.0),
    ),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of every checkpoint, by its name."""
    root = tmp_path_factory.mktemp("checkpoints")
    settings = ClassifierConfig(labels=("dog", "rain"), network="cnn-mel")
    Classifier(settings).save_pretrained(root / "good")
    for name, spoil in (BAD | LARGE).items():
        spoil(Path(shutil.copytree(root / "good", root / name)))
    work = tmp_path_factory.mktemp("work")
    child = subprocess.run(
        [sys.executable, LOADER, root], cwd=work, capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stdout[-500:] + child.stderr[-2000:]
    assert list(work.iterdir()) == []
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    return {line["name"]: line for line in lines}


def test_the_good_one_loads(reports):
    assert reports["good"]["outcome"] == "loaded"
    assert reports["good"]["call"] == "called"


@pytest.mark.parametrize("name", LARGE)
def test_a_costly_checkpoint_is_called_in_bounded_memory(reports, name):
    assert reports[name]["outcome"] == "loaded"
    assert reports[name]["call"] == "called"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_checkpoint_is_refused_and_does_nothing(reports, name):
    report = reports[name]
    assert report["outcome"].startswith(("ConfigError: ", "WeightsError: "))
    assert report["deeds"] == []
    assert report["seconds"] < 5
