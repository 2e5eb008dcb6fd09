"""What the folder of the page for browsers holds; `tests/pages/test_try.py` opens it."""

from __future__ import annotations

import pytest

from build_try import REPOSITORY, RUNTIME, build


def test_the_page_carries_the_notices_of_the_model_that_it_passes_on(model, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "ort").mkdir()
    for name in RUNTIME:  # fetched once, so that nothing is fetched here
        (tmp_path / "ort" / name).touch()
    build(tmp_path, model=model)
    assert {"model.onnx", "model.json", "index.html"} <= {path.name for path in tmp_path.iterdir()}
    for name in ("LICENSE", "NOTICE"):
        assert (tmp_path / name).read_bytes() == (REPOSITORY / name).read_bytes()
