"""The page and the example without torch raise soft clips as soundsep does."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from soundsep.audio.level import raised, raising_gain

ROOT = Path(__file__).resolve().parents[2]
RATE, WANTED_DB = 8_000, -35.0
LENGTHS = (1, 2, 3, 399, 400, 401, 799, 800, 801, 802, 1_200, 1_201, 20_000)
NODE = shutil.which("node")


def clips() -> list[np.ndarray]:
    """Soft and loud noise of any length, with an offset, that of one ending in a sound, silence."""
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal(n) for n in LENGTHS]
    late = np.zeros(9_999)
    late[-90:] = 0.1 * rng.standard_normal(90)
    given = [gain * clip for clip in noise for gain in (0.3, 1e-3, 1e-6)]
    given += [1e-3 * noise[-1] + 0.1, late, 0.01 * late, np.zeros(2_000)]
    return [clip.astype(np.float32) for clip in given]


def expected(clip: np.ndarray) -> np.ndarray:
    waveform = torch.from_numpy(clip)
    return raised(waveform, raising_gain(waveform, WANTED_DB, sample_rate=RATE)).numpy()


def test_clips_of_the_test_are_raised_and_are_not():
    gains = {raising_gain(torch.from_numpy(c), WANTED_DB, sample_rate=RATE) for c in clips()}
    assert len(gains) > 10
    assert {1.0, 1e4} < gains


def test_the_example_raises_as_soundsep_does():
    pytest.importorskip("onnxruntime")
    example = runpy.run_path(str(ROOT / "examples" / "onnx_without_torch.py"))
    for clip in clips():
        found = example["raised"](clip, RATE, WANTED_DB)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected(clip), rtol=1e-3, atol=1e-6)


@pytest.mark.skipif(NODE is None, reason="there is no node")
def test_the_page_raises_as_soundsep_does(tmp_path):
    # A suffix from which node knows that it is a module.
    shutil.copy(ROOT / "docs" / "try" / "sound.js", tmp_path / "sound.mjs")
    given = clips()
    (tmp_path / "clips.json").write_text(json.dumps([clip.tolist() for clip in given]))
    (tmp_path / "run.mjs").write_text(
        'import { readFileSync } from "node:fs";\n'
        'import { raised } from "./sound.mjs";\n'
        'const clips = JSON.parse(readFileSync("clips.json"));\n'
        f"const model = {{ clipLevelDb: {WANTED_DB}, sampleRate: {RATE} }};\n"
        "const out = clips.map((clip) => raised(Float32Array.from(clip), model));\n"
        "const none = raised(Float32Array.from(clips[1]), { clipLevelDb: null, sampleRate: 1 });\n"
        "console.log(JSON.stringify([none, out.map((clip) => clip && Array.from(clip))]));\n"
    )
    done = subprocess.run(
        [str(NODE), "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    none, found = json.loads(done.stdout)
    assert none is None
    for clip, of_page in zip(given, found, strict=True):
        wanted = expected(clip)
        assert (of_page is None) == np.array_equal(wanted, clip)
        np.testing.assert_allclose(clip if of_page is None else of_page, wanted, 1e-3, 1e-6)
