"""What a separator writes: whole under its name, or not there."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import soundfile
import torch

from soundsep import AudioError, ConfigError
from soundsep.separator import source_files

RATE = 8_000


@pytest.mark.parametrize("n_channels", [1, 2])
def test_files_hold_what_the_call_gives(separator, tmp_path, n_channels):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (300_000, n_channels))
    soundfile.write(tmp_path / "in.flac", samples, 11_025)
    result = separator(tmp_path / "in.flac")
    paths = separator.separate_to_dir(tmp_path / "in.flac", tmp_path / "new" / "out")
    saved = result.save(tmp_path / "saved")
    assert list(paths) == list(saved) == ["a", "b"]
    for name, source in zip(result.sources, result, strict=True):
        for path in (paths[name], saved[name]):
            written, rate = soundfile.read(path, dtype="float32", always_2d=True)
            assert rate == RATE
            assert soundfile.info(path).subtype == "FLOAT"
            np.testing.assert_allclose(written.T, source.numpy(), atol=1e-5)
    assert result["a"].abs().max() > 1.5  # louder than full scale, and not clipped
    assert {p.name for p in (tmp_path / "new" / "out").iterdir()} == {"a.wav", "b.wav"}


def test_what_exists_is_kept_unless_told_otherwise(separator, recording, tmp_path):
    out = tmp_path / "out"
    paths = separator.separate_to_dir(recording, out)
    before = paths["a"].read_bytes()
    for write in (
        lambda **options: separator.separate_to_dir(torch.ones(99), out, **options),
        lambda **options: separator(torch.ones(99)).save(out, **options),
    ):
        with pytest.raises(ConfigError, match=r"a\.wav exists already.*overwrite"):
            write()
        assert paths["a"].read_bytes() == before
        write(overwrite=True)
        assert soundfile.info(paths["a"]).frames == 99
        paths["a"].write_bytes(before)
    with pytest.raises(ConfigError, match="is a file"):
        separator.separate_to_dir(recording, recording)


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "out" / "a.wav"
    files = source_files.SourceFiles(
        path.parent, ["a"], sample_rate=RATE, n_channels=1, overwrite=False
    )
    with pytest.raises(ConfigError, match=r"a\.wav exists already"), files:
        path.write_bytes(b"of another program")
    assert [*path.parent.iterdir()] == [path]
    assert path.read_bytes() == b"of another program"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, overwrite):
    (tmp_path / "out" / "a.wav").mkdir(parents=True)
    for folder in (tmp_path / "out", tmp_path / ("x" * 5_000)):
        with (
            pytest.raises(ConfigError, match=r"exists already|cannot write the sources"),
            source_files.SourceFiles(
                folder, ["a"], sample_rate=RATE, n_channels=1, overwrite=overwrite
            ),
        ):
            pytest.fail("the block was run")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a.wav"]


def test_a_full_disk_leaves_nothing(separator, recording, tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ConfigError, match=r"cannot write the sources.*out.*File too large"):
            separator.separate_to_dir(recording, tmp_path / "deep" / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [recording]


@pytest.mark.parametrize("where", ["__init__", "write", "finish"])
def test_a_disk_that_is_full_at_any_time_keeps_the_old_files(
    separator, recording, tmp_path, monkeypatch, where
):
    paths = separator.separate_to_dir(recording, tmp_path / "out")
    before = {path: path.read_bytes() for path in paths.values()}

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(source_files.FloatWavWriter, where, fail)
    with pytest.raises(ConfigError, match="No space left"):
        separator.separate_to_dir(torch.ones(99), tmp_path / "out", overwrite=True)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_what_a_killed_run_left_is_removed(separator, recording, tmp_path):
    paths = separator.separate_to_dir(recording, tmp_path / "out")
    left = tmp_path / "out" / f".a.wav.{'0' * 32}.tmp"
    left.write_bytes(bytes(1_000))
    os.utime(left, (0, 0))
    separator.separate_to_dir(recording, tmp_path / "out", overwrite=True)
    assert {*(tmp_path / "out").iterdir()} == {*paths.values()}


def test_a_recording_that_turns_bad_leaves_nothing(separator, tmp_path):
    samples = np.zeros(400_000, np.float32)
    samples[-1] = np.nan
    soundfile.write(tmp_path / "in.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        separator.separate_to_dir(tmp_path / "in.wav", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interrupt_leaves_nothing(separator, recording, tmp_path, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(separator, "_hear", stop)
    with pytest.raises(KeyboardInterrupt):
        separator.separate_to_dir(recording, tmp_path / "out")
    assert not (tmp_path / "out").exists()
