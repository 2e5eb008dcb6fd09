from __future__ import annotations

import os
import shutil
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from soundsep import Separator, SeparatorConfig
from soundsep.cli import main
from soundsep.models.separation import SEPARATION_NETWORKS
from soundsep.separator.wav import FloatWavWriter


class Halves(nn.Module):
    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return torch.stack((mixture, mixture), dim=1) / 2


@pytest.fixture
def model(tmp_path, monkeypatch) -> str:
    monkeypatch.setitem(SEPARATION_NETWORKS, "halves", lambda n_sources: Halves())
    config = SeparatorConfig(
        sources=("a", "b"),
        network="halves",
        sample_rate=8_000,
        n_channels=1,
        segment_seconds=1.0,
    )
    Separator(Halves(), config).save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


@pytest.fixture
def clips(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("one.wav", "two.flac"):
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(20_000), 8_000)
    return tmp_path


def test_a_folder_of_sources_for_each_recording(model, clips, capsys):
    files = [str(clips / "one.wav"), str(clips / "two.flac")]
    command = ["separate", "--model", model, "-o", str(clips / "out"), *files]
    assert main(command) == 0
    for name in ("one", "two"):
        assert {p.name for p in (clips / "out" / name).iterdir()} == {"a.wav", "b.wav"}
        assert soundfile.info(clips / "out" / name / "a.wav").frames == 20_000
    printed = capsys.readouterr()
    assert str(clips / "out" / "two" / "b.wav") in printed.out
    assert printed.err.splitlines() == [  # no bar where nobody watches
        f"soundsep: 2 recordings, none failed; the results are in {clips / 'out'}"
    ]

    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_a_file_where_the_folder_should_be_is_named(model, clips, capsys):
    one = str(clips / "one.wav")
    assert main(["separate", "--model", model, "-o", one, one]) == 2
    message = capsys.readouterr().err
    assert "File exists" in message
    assert "another run" not in message


def test_a_bad_recording_is_reported_and_the_others_go_on(model, clips, capsys):
    files = [str(clips / "gone.wav"), str(clips / "one.wav")]
    assert main(["separate", "--model", model, "-o", str(clips / "out"), *files]) == 1
    printed = capsys.readouterr()
    assert "gone.wav does not exist" in printed.err
    assert "1 of 2 recordings failed" in printed.err
    assert sorted(p.name for p in (clips / "out").iterdir()) == [".separate.jsonl", "one"]


def test_two_recordings_must_not_go_to_one_folder(model, clips, capsys):
    (clips / "deeper").mkdir()
    files = [str(clips / "one.wav"), str(clips / "deeper" / "one.wav")]
    assert main(["separate", "--model", model, "-o", str(clips / "out"), *files]) == 2
    assert "would both be written to" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_a_batch_system_that_ends_the_run_finds_no_half_files(model, clips, monkeypatch, capsys):
    write, output = FloatWavWriter.write, clips / "out"

    def ended(self, samples):
        write(self, samples)
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    monkeypatch.setattr(FloatWavWriter, "write", ended)
    files = [str(clips / "one.wav"), str(clips / "two.flac")]
    try:
        assert main(["separate", "--model", model, "-o", str(output), *files]) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err.endswith("--resume continues\nsoundsep: stopped\n")
    assert [path.name for path in output.rglob("*")] == [".separate.jsonl"]


def test_an_unknown_model_is_an_error(clips, capsys):
    assert main(["separate", "--model", "nonesuch", str(clips / "one.wav")]) == 2
    assert "htdemucs" in capsys.readouterr().err


def test_digital_silence_says_so(model, clips, monkeypatch, capsys):
    soundfile.write(clips / "silent.wav", np.zeros((9_000, 2)), 8_000)
    command = ["separate", "--model", model, "-o", str(clips / "out"), str(clips / "silent.wav")]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(command) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"soundsep: {clips / 'silent.wav'} is digital silence")
    assert not soundfile.read(clips / "out" / "silent" / "a.wav")[0].any()


def test_a_channel_of_stereo_and_channels_that_cancel(model, clips):
    left = 0.1 * np.random.default_rng(1).standard_normal(20_000)
    soundfile.write(clips / "opposite.wav", np.stack([left, -left], 1), 8_000, subtype="FLOAT")
    for options, factor in ([], 1), (["--channel", "0"], 1), (["--channel", "1"], -1):
        out = clips / f"out{len(options)}{factor}"
        command = ["separate", "--model", model, "-o", str(out), str(clips / "opposite.wav")]
        assert main([*command, *options]) == 0
        written = soundfile.read(out / "opposite" / "a.wav")[0]
        np.testing.assert_allclose(written, factor * left / 2, atol=1e-6)
    command = ["separate", "--model", model, "-o", str(clips / "no"), str(clips / "opposite.wav")]
    assert main([*command, "--channel", "2"]) == 1


def test_sources_of_another_channel_are_not_done_and_nothing_is_begun_beside_them(
    model, clips, capsys
):
    out, one, two = (str(clips / name) for name in ("out", "one.wav", "two.flac"))
    command = ["separate", "-o", out]
    assert main([*command, "--model", model, "--channel", "0", one]) == 0
    capsys.readouterr()
    assert main([*command, "--model", model, two, one, "--resume"]) == 2
    assert f"{clips / 'out' / 'one'} exists already" in capsys.readouterr().err
    assert not (clips / "out" / "two").exists()
    assert main([*command, "--model", model, two, one, "--resume", "--channel", "0"]) == 0
    assert "none failed, 1 done before" in capsys.readouterr().err
    shutil.rmtree(clips / "out" / "one")  # then it is not done any longer
    assert main([*command, "--model", model, two, one, "--resume", "--channel", "0"]) == 0
    assert "none failed, 1 done before" in capsys.readouterr().err
    assert (clips / "out" / "one" / "b.wav").is_file()
    assert main([*command, "--model", "no-such-model", two, one]) == 2  # before it is looked for
    assert "exists already" in capsys.readouterr().err
