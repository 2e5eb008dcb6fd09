from __future__ import annotations

import os

import pytest
import torch
from safetensors import SafetensorError

from soundsep.errors import ConfigError, WeightsError
from soundsep.training import state
from soundsep.training.state import load_state, save_state


@pytest.mark.parametrize(
    "error", [SafetensorError("No space left on device"), OSError(28, "No space left on device")]
)
def test_a_disk_that_is_full_keeps_the_last_state_and_is_an_error_of_ours(
    tmp_path, monkeypatch, error
):
    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise error

    model, ema = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    path = tmp_path / "state.safetensors"
    save_state(path, model=model, ema=ema, optimizer=optimizer, notes={})
    before = path.read_bytes()
    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(WeightsError, match=r"state\.safetensors.*No space left"):
        save_state(path, model=model, ema=ema, optimizer=optimizer, notes={})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_what_a_killed_run_left_is_removed(tmp_path):
    """States are large, and every kill may leave one."""
    model, ema = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    left = tmp_path / f".state.safetensors.{32 * '0'}.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    path = tmp_path / "state.safetensors"
    optimizer = torch.optim.AdamW(model.parameters())
    save_state(path, model=model, ema=ema, optimizer=optimizer, notes={})
    assert [*tmp_path.iterdir()] == [path]


def test_a_run_from_before_a_setting_goes_on_while_that_is_off(tmp_path):
    model, ema = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    parts = {"model": model, "ema": ema, "optimizer": torch.optim.AdamW(model.parameters())}
    before = {"seed": 0, "recipe": {"n_steps": 5}}
    path = tmp_path / "state.safetensors"
    save_state(path, notes={"settings": before, "metrics": [{"step": 5}]}, **parts)
    later = {"seed": 0, "recipe": {"n_steps": 5, "dropout": 0.0}}
    assert load_state(path, settings=later, **parts) == [{"step": 5}]
    for other in ({"n_steps": 5, "dropout": 0.1}, {"n_steps": 6, "dropout": 0.0}, {}):
        with pytest.raises(ConfigError, match="other settings"):
            load_state(path, settings={"seed": 0, "recipe": other}, **parts)


def test_a_run_from_before_a_digest_goes_on_and_then_notes_it(tmp_path):
    model, ema = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    parts = {"model": model, "ema": ema, "optimizer": torch.optim.AdamW(model.parameters())}
    path = tmp_path / "state.safetensors"
    notes = {"settings": {"seed": 0, "clips_sha256": "a"}, "metrics": []}
    save_state(path, notes=notes, **parts)
    later = notes["settings"] | {"tags_sha256": "b"}
    assert load_state(path, settings=later, **parts) == []
    for other in ({"clips_sha256": "c"}, {"seed": 1}, {"fold": 1}):
        with pytest.raises(ConfigError, match="other settings"):
            load_state(path, settings=later | other, **parts)
    save_state(path, notes=notes | {"settings": later}, **parts)
    with pytest.raises(ConfigError, match="other settings"):
        load_state(path, settings=later | {"tags_sha256": "c"}, **parts)
