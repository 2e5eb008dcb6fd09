"""Recordings whose channels cancel, and integers that were cast to float."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from soundsep import AudioError, Pipeline

pytestmark = pytest.mark.usefixtures("all_weights")

CANCELLING = ("antiphase_99.wav", "antiphase_exact.wav")


@pytest.fixture(scope="module")
def inputs(data_dir: Path) -> Path:
    return data_dir / "data" / "inputs"


@pytest.mark.parametrize("separator", [None, "esc50-mix2"])
def test_a_siren_is_heard_through_channels_that_cancel(inputs, separator):
    pipe = Pipeline.from_pretrained("esc50-resnet34", separator=separator)
    for name in CANCELLING:
        result = pipe(inputs / name)
        assert result.label == "siren"
        assert result.score > 0.5
        assert [event.label for event in pipe.events(inputs / name)] == ["siren"]
        left = pipe(inputs / name, channel=0)
        assert left.score == pytest.approx(result.score, abs=0.01)


def test_integers_cast_to_float_are_refused(inputs):
    pipe = Pipeline.from_pretrained("esc50-resnet34")
    samples = np.load(inputs / "int16_as_float32.npy")
    for audio in (inputs / "int_scaled_float.wav", samples):
        with pytest.raises(AudioError, match="divide by 32768"):
            pipe(audio, sample_rate=16_000)
        with pytest.raises(AudioError, match="divide by 32768"):
            list(pipe.events(audio, sample_rate=16_000))
    assert pipe(samples / 32_768, sample_rate=16_000).label is not None
