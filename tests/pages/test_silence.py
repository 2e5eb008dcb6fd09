"""The page and the example without torch take for silence what soundsep does."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from soundsep.audio import resample
from soundsep.audio.silence import is_silent
from soundsep.audio.windows import split_windows

ROOT = Path(__file__).resolve().parents[2]
STEP = 2.0**-23
OFFSETS = (0.0, 1e-4, -4e-4, 2e-3, 0.3, -1.0)
RATES = (8_000, 44_100, 48_000)  # to 16 kHz
NODE = shutil.which("node")


def given() -> list[np.ndarray]:
    """Constants, what is within a step of one, and more than that, of several lengths."""
    steps, noise = np.zeros(7_000), np.random.default_rng(0).standard_normal(7_000)
    steps[::7] = STEP
    shapes = (0 * steps, steps, 5 * steps, 1e-3 * noise, 0.01 * noise)
    found = [shape + offset for offset in OFFSETS for shape in shapes]
    found += [found[n][:length] for n in (0, 5, 9, 15, 19) for length in (1, 2, 300)]
    return [samples.astype(np.float32) for samples in found]


@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_the_example_has_the_windows_of_soundsep(padding):
    pytest.importorskip("onnxruntime")
    example = runpy.run_path(str(ROOT / "examples" / "onnx_without_torch.py"))
    for samples in given():
        wanted = split_windows(torch.from_numpy(samples), window=900, hop=400, padding=padding)
        found = example["windows"](samples, 900, 400, padding)
        np.testing.assert_allclose(np.stack(found), torch.stack(wanted), rtol=0, atol=1e-6)
        silent = [np.ptp(window) <= 2 * example["SILENCE"] for window in found]
        assert silent == [is_silent(window) for window in wanted]


@pytest.mark.skipif(NODE is None, reason="there is no node")
def test_the_page_resamples_and_cuts_and_judges_as_soundsep_does(tmp_path):
    # A suffix from which node knows that it is a module.
    shutil.copy(ROOT / "docs" / "try" / "sound.js", tmp_path / "sound.mjs")
    (tmp_path / "given.json").write_text(json.dumps([samples.tolist() for samples in given()]))
    (tmp_path / "run.mjs").write_text(
        'import { readFileSync } from "node:fs";\n'
        'import { isSilent, resample, windows } from "./sound.mjs";\n'
        'const given = JSON.parse(readFileSync("given.json")).map((s) => Float32Array.from(s));\n'
        "const model = { windowSamples: 900, hopSamples: 400, padding: 'zero' };\n"
        f"const out = {list(RATES)}.map((rate) => given.map((samples) => {{\n"
        "  const at16 = resample(samples, rate, 16000);\n"
        "  return [Array.from(at16), windows(at16, model).map(([, window]) => isSilent(window))];\n"
        "}));\n"
        "console.log(JSON.stringify(out));\n"
    )
    done = subprocess.run(
        [str(NODE), "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    n_silent = 0
    for rate, of_rate in zip(RATES, json.loads(done.stdout), strict=True):
        for samples, (found, silent) in zip(given(), of_rate, strict=True):
            wanted = resample(torch.from_numpy(samples), rate, 16_000)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
            cut = split_windows(wanted, window=900, hop=400, padding="zero")
            assert silent == [is_silent(window) for window in cut]
            n_silent += all(silent)
    assert n_silent >= len(RATES) * len(OFFSETS)
