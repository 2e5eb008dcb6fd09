"""The tool that trains a separator on an accelerator, on the processor and on a few tones."""

from __future__ import annotations

import json

import pytest
import torch

import train_separator
from soundsep.datasets import ESC50, MixtureConfig, Mixtures, load_examples
from soundsep.evaluation import measure_separation
from soundsep.files import read_json_lines
from soundsep.labels import ESC50_LABELS
from soundsep.models.separation import SEPARATION_NETWORKS, MaskUNet
from soundsep.separator import Separator

RATE = 16_000


def tiny(n_sources: int) -> MaskUNet:
    return MaskUNet(n_sources=n_sources, channels=(4, 8), n_fft=128)


@pytest.mark.usefixtures("same_settings")
def test_two_networks_in_the_time_given(esc50, tmp_path, monkeypatch):
    monkeypatch.setitem(SEPARATION_NETWORKS, "tiny", tiny)
    monkeypatch.setitem(SEPARATION_NETWORKS, "other", tiny)
    monkeypatch.setattr(train_separator, "END_SECONDS", 0.5)
    monkeypatch.setattr(train_separator, "BEGAN", train_separator.time.monotonic())
    settings = {"batch_size": 4, "mixtures": {"seconds": 1.0, "is_rolled": True}}
    (tmp_path / "recipe.json").write_text(json.dumps(settings))
    output = tmp_path / "out"
    words = f"train --esc50 {esc50} --output {output} --held-out 2 --network tiny other tiny"
    words += f" --recipe {tmp_path / 'recipe.json'} --device cpu --threads 1 --minutes 0.12"
    words += " --reports 4 --test-mixtures 6"
    monkeypatch.setattr("sys.argv", words.split())
    train_separator.main()
    summary = json.loads((output / "summary.json").read_text())
    assert set(summary["improvement_db"]) == {"tiny", "other"}
    rows = read_json_lines(output / "tiny" / "metrics.jsonl")
    others = read_json_lines(output / "other" / "metrics.jsonl")
    assert rows[-1]["step"] > 1.2 * others[-1]["step"]  # it had two of three turns
    assert rows[-1]["share"] == 1.0
    assert [row["share"] for row in rows] == sorted(row["share"] for row in rows)

    # What is written is what the library measures of the files.
    separator = Separator.from_pretrained(output / "tiny")
    assert separator.config.segment_seconds == 1.0
    assert separator.config.interchangeable
    examples = load_examples(ESC50(esc50).split(2)[1], sample_rate=RATE, progress=False)
    mixtures = Mixtures(examples, n_mixtures=6, config=MixtureConfig(seconds=1.0))
    measured = measure_separation(separator, mixtures, progress=False).to_dict(ESC50_LABELS)
    written = json.loads((output / "tiny" / "test.json").read_text())
    for key in ("si_sdr_improvement_mean_db", "share_of_mixtures_made_worse"):
        assert written[key] == pytest.approx(measured[key], abs=0.01)


@pytest.mark.usefixtures("same_settings")
def test_a_network_that_fails_does_not_take_the_other_with_it(esc50, tmp_path, monkeypatch, capsys):
    class Failing(MaskUNet):
        def forward(self, waveform: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no such operation on this device")

    monkeypatch.setitem(SEPARATION_NETWORKS, "tiny", tiny)
    monkeypatch.setitem(
        SEPARATION_NETWORKS, "failing", lambda n: Failing(n_sources=n, channels=(4, 8))
    )
    monkeypatch.setattr(train_separator, "BEGAN", train_separator.time.monotonic())
    settings = {"batch_size": 4, "mixtures": {"seconds": 1.0, "is_rolled": True}}
    (tmp_path / "recipe.json").write_text(json.dumps(settings))
    words = f"train --esc50 {esc50} --output {tmp_path} --recipe {tmp_path / 'recipe.json'}"
    words += " --device cpu --threads 1 --mixtures 12 --test-mixtures 2 --network"
    monkeypatch.setattr("sys.argv", [*words.split(), "failing", "tiny"])
    train_separator.main()
    assert "no such operation" in capsys.readouterr().err
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary["improvement_db"]) == {"tiny"}
    assert (tmp_path / "tiny" / "model.safetensors").exists()
    monkeypatch.setattr("sys.argv", [*words.split(), "failing"])
    with pytest.raises(SystemExit, match="no network was trained"):
        train_separator.main()
