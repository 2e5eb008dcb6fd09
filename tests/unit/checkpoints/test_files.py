from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from soundsep.checkpoints.files import read_config, read_weights, settings_in, write_checkpoint
from soundsep.errors import ConfigError, WeightsError
from soundsep.frontends import MelConfig

TENSORS = {
    "weight": torch.linspace(-2, 2, 12).reshape(3, 4),
    "num_batches_tracked": torch.tensor(123_456_789),
}
CONFIG = {"format": "test", "labels": ["Hund", "Föhn"], "rate": 0.5}


pytestmark = pytest.mark.usefixtures("here")


def test_round_trip_is_exact() -> None:
    write_checkpoint("deep/er", CONFIG, TENSORS)
    assert sorted(path.name for path in Path("deep/er").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    assert read_config("deep/er/config.json") == CONFIG
    text = Path("deep/er/config.json").read_text("utf-8")
    assert text == json.dumps(CONFIG, indent=2, ensure_ascii=False) + "\n"
    read = read_weights("deep/er/model.safetensors")
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_half_halves_floats_only() -> None:
    write_checkpoint("half", CONFIG, TENSORS, half=True)
    stored = load_file("half/model.safetensors")
    assert stored["weight"].dtype == torch.float16
    assert stored["num_batches_tracked"].dtype == torch.int64
    read = read_weights("half/model.safetensors")
    assert read["weight"].dtype == torch.float32
    assert torch.equal(read["weight"], TENSORS["weight"].half().float())
    assert read["num_batches_tracked"].item() == 123_456_789


def test_half_refuses_what_overflows() -> None:
    with pytest.raises(WeightsError, match=r"'large'.*float16.*70000"):
        write_checkpoint("half", {}, {"large": torch.tensor([1.0, -70_000.0])}, half=True)
    assert not Path("half").exists()


def test_views_shared_memory_and_gradients_can_be_written() -> None:
    weight = torch.arange(6.0).reshape(2, 3).requires_grad_()
    write_checkpoint("views", {}, {"a": weight, "b": weight.T, "c": weight[:, 1]})
    read = read_weights("views/model.safetensors")
    assert torch.equal(read["b"], weight.detach().T)
    assert torch.equal(read["c"], torch.tensor([1.0, 4.0]))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_diverged_weights_are_not_written(value: float) -> None:
    with pytest.raises(WeightsError, match="'bad'"):
        write_checkpoint("x", {}, {"good": torch.ones(2), "bad": torch.tensor([1.0, value])})
    assert not Path("x").exists()


@pytest.mark.parametrize("config", [{"x": float("nan")}, {"x": {1, 2}}, {"x": "\ud800"}])
def test_config_must_be_plain_json(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not plain JSON"):
        write_checkpoint("x", config, TENSORS)
    assert not Path("x").exists()


def test_failed_write_keeps_the_old_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint("x", CONFIG, TENSORS)
    before = {path.name: path.read_bytes() for path in Path("x").iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WeightsError, match="No space left"):
        write_checkpoint("x", {}, {"other": torch.zeros(1)})
    assert {path.name: path.read_bytes() for path in Path("x").iterdir()} == before
    with pytest.raises(WeightsError, match="No space left"):
        write_checkpoint("new/er", CONFIG, TENSORS)
    assert not Path("new").exists()


def test_overwriting_leaves_read_tensors_alone() -> None:
    write_checkpoint("x", CONFIG, TENSORS)
    read = read_weights("x/model.safetensors")
    Path("x/model.safetensors").write_bytes(b"")
    assert torch.equal(read["weight"], TENSORS["weight"])
    write_checkpoint("x", CONFIG, read)
    assert read_weights("x/model.safetensors").keys() == TENSORS.keys()


def test_target_that_is_a_file() -> None:
    Path("x").write_text("")
    with pytest.raises(WeightsError, match="cannot write"):
        write_checkpoint("x", CONFIG, TENSORS)


# --- bad weights


class Trap:
    """Unpickling it leaves a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("sprung",))


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


BAD_FILES = {
    "empty": b"",
    "text": b"version https://git-lfs.github.com/spec/v1\n",
    "pickle": pickle.dumps(Trap()),
    "huge header": header(b"{}", 1 << 40),
    "header beyond the end": header(b"{}", 1000),
    "no JSON": header(b"nonsense"),
    "unknown dtype": header(b'{"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}}') + bytes(4),
    "offsets beyond the end": header(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'),
    "shape and offsets differ": header(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}')
    + bytes(4),
}


@pytest.mark.parametrize("data", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_weights_are_refused(data: bytes) -> None:
    Path("model.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match=r"model\.safetensors is damaged or not a safetensors"):
        read_weights("model.safetensors")
    assert not Path("sprung").exists()


def test_torch_pickle_is_refused() -> None:
    torch.save({"a": Trap()}, "model.safetensors")
    with pytest.raises(WeightsError, match="damaged or not a safetensors"):
        read_weights("model.safetensors")
    assert not Path("sprung").exists()


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_truncated_weights_are_refused(kept: float) -> None:
    write_checkpoint(".", CONFIG, TENSORS)
    data = Path("model.safetensors").read_bytes()
    Path("model.safetensors").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(WeightsError, match="damaged"):
        read_weights("model.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_that_are_not_finite_are_refused(value: float, dtype: torch.dtype) -> None:
    save_file({"a": torch.tensor([1.0, value], dtype=dtype)}, "model.safetensors")
    with pytest.raises(WeightsError, match=r"NaN or Inf in tensor 'a'.*1 of 2"):
        read_weights("model.safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_as_float32(dtype: torch.dtype) -> None:
    save_file({"a": torch.tensor([1.5], dtype=dtype)}, "model.safetensors")
    assert read_weights("model.safetensors")["a"].dtype == torch.float32


def test_missing_file_and_folder_in_its_place() -> None:
    with pytest.raises(WeightsError, match="missing"):
        read_weights("model.safetensors")
    Path("config.json").mkdir()
    with pytest.raises(WeightsError, match="not a file"):
        read_config("config.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_does_not_block() -> None:
    os.mkfifo("config.json")
    with pytest.raises(WeightsError, match="not a file"):
        read_config("config.json")
    with pytest.raises(WeightsError, match="not a file"):
        read_weights("config.json", like=TENSORS)


# --- bad configs

BAD_CONFIGS = {
    "empty": b"",
    "half": b'{"a": 1',
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "overflow": b'{"a": 1e999}',
    "deep": b"[" * 200_000,
    "long number": b'{"a": ' + b"9" * 10_000 + b"}",
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "key twice": b'{"a": {"b": 1, "b": 2}}',
    "list": b"[1]",
    "number": b"1",
}


@pytest.mark.parametrize("data", BAD_CONFIGS.values(), ids=BAD_CONFIGS.keys())
def test_bad_configs_are_refused(data: bytes) -> None:
    Path("config.json").write_bytes(data)
    with pytest.raises(WeightsError, match=r"config\.json(: expected| is not valid) .*JSON"):
        read_config("config.json")


def test_config_has_a_size_limit() -> None:
    Path("config.json").write_bytes(b'{"a": "' + b"x" * (1 << 20) + b'"}')
    with pytest.raises(WeightsError, match="too large: expected at most 1048576 bytes"):
        read_config("config.json")


def test_a_wrong_setting_tells_its_file() -> None:
    path = Path("model", "config.json")
    content: dict[str, Any] = {"format": "test", "format_version": 1, "mel": {"n_mels": 40}}
    assert settings_in(content, MelConfig, key="mel", path=path) == MelConfig(n_mels=40)
    for wrong, message in (({"n_mels": -1}, "MelConfig.n_mels"), ({"n_mel": 40}, "n_mel")):
        with pytest.raises(ConfigError, match=message) as caught:
            settings_in({**content, "mel": wrong}, MelConfig, key="mel", path=path)
        assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(ConfigError, match="unknown 'more'") as caught:
        settings_in({**content, "more": 1}, MelConfig, key="mel", path=path)
    assert str(caught.value).startswith(f"{path}: ")
