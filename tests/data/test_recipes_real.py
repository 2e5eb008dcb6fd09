"""Every recipe from the start, on a few real clips: started, taken up again, measured."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import load_file

from soundsep.cli import main
from soundsep.training import RECIPES

FROM_THE_START = [name for name, r in RECIPES.items() if r.backbone is None and r.teacher is None]


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_THE_START)
def test_a_recipe_runs_on_real_clips(name, esc50_root, data_dir, tmp_path):
    urban = data_dir / "data" / "urbansound8k-mini"
    roots = {"esc50": [esc50_root], "urbansound8k": [urban], "urban11": [esc50_root, urban]}
    data = [part for root in roots[RECIPES[name].data] for part in ("--data", str(root))]
    limits = ["--limit", "4", "--epochs", "2", "--batch-size", "2"]
    command = ["train", "--recipe", name, *data, *limits, "--output", str(tmp_path)]
    assert main(command) == 0
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == [1, 2]
    before = load_file(tmp_path / "ema" / "model.safetensors")
    assert main(command) == 0  # it is over, so nothing is learnt any more
    after = load_file(tmp_path / "ema" / "model.safetensors")
    assert all(value.equal(after[key]) for key, value in before.items())
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == rows
    assert json.loads((tmp_path / "test.json").read_text())["n_clips"] == 4
