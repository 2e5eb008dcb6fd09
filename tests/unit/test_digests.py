from __future__ import annotations

import hashlib

import pytest
import torch

from soundsep import digests
from soundsep.digests import code_digest, digest, file_digest, named_parts


def test_digest_is_the_sha256_of_all_parts_behind_each_other():
    assert digest() == hashlib.sha256(b"").hexdigest()
    assert digest("é", b"\0a") == hashlib.sha256(b"\xc3\xa9\0a").hexdigest()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3),
        torch.arange(6.0).reshape(2, 3).t(),
        torch.arange(48.0).reshape(1, 4, 3, 4).to(memory_format=torch.channels_last),
        torch.tensor(7),
        torch.zeros(0),
        torch.ones(3, requires_grad=True),
    ],
    ids=["plain", "transposed", "channels last", "number", "empty", "learnt"],
)
def test_digest_of_a_tensor_is_that_of_its_numbers_in_order(tensor):
    numbers = tensor.detach().numpy().tobytes()  # in C order, whatever the layout
    assert digest("x", tensor) == hashlib.sha256(b"x" + numbers).hexdigest()


def test_named_parts_tell_tensors_of_the_same_numbers_apart():
    zeros = torch.zeros(2, 3)
    states = ({"a": zeros}, {"b": zeros}, {"a": zeros.T}, {"a": zeros.int()}, {"a": zeros + 1})
    assert len({digest(*named_parts(state)) for state in states}) == len(states)
    assert digest(*named_parts({"a": zeros.clone()})) == digest(*named_parts(states[0]))


def test_digest_of_a_file_larger_than_what_is_read_at_once(tmp_path):
    data = bytes(range(256)) * 10_000
    (tmp_path / "a.bin").write_bytes(data)
    assert file_digest(tmp_path / "a.bin") == hashlib.sha256(data).hexdigest()
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "b.bin")


def test_the_digest_of_code_follows_the_code_and_nothing_else(tmp_path, monkeypatch):
    def both() -> tuple[str, str]:
        code_digest.cache_clear()
        return code_digest("a"), code_digest("a", "b")

    for room in ("a", "b"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "code.py").write_text("x = 1")
    monkeypatch.setattr(digests.resources, "files", lambda name: tmp_path)
    first = both()
    (tmp_path / "a" / "notes.txt").write_text("not code")
    assert both() == first
    (tmp_path / "b" / "code.py").write_text("x = 2")
    second = both()
    assert second[0] == first[0]
    assert second[1] != first[1]
    (tmp_path / "a" / "code.py").rename(tmp_path / "a" / "other.py")
    assert both()[0] != first[0]
    code_digest.cache_clear()
