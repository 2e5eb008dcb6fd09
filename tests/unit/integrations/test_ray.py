"""`Tagger` without Ray: it is a class that is called with batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsep import ConfigError, Pipeline, load_audio
from soundsep.integrations.ray import Tagger
from soundsep.pipeline import call

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow comes with the extra ray")


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> list[str]:
    """Three recordings, then what is none, and what is not there."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for i, level in enumerate((0.3, 0.01, 0.1)):
        soundfile.write(folder / f"{i}.wav", level * rng.standard_normal(8_000), 16_000)
    (folder / "text.wav").write_text("no sound")
    return [str(folder / name) for name in ("0.wav", "1.wav", "2.wav", "text.wav", "gone.wav")]


def column(values: list) -> np.ndarray:
    """As Ray hands them over."""
    return np.array(values, dtype=object)


def test_a_batch_of_paths_is_answered_as_the_pipeline_does(model, paths):
    order = [3, 0, 1, 4, 2]
    asked = [paths[i] for i in order]
    table = Tagger(model, top_k=2)({"path": column(asked), "id": np.array(order)})
    assert table.column_names == ["path", "id", "labels", "scores", "error"]
    assert table["id"].to_pylist() == order
    assert table["path"].to_pylist() == asked
    for row, result in zip(
        table.to_pylist(), Pipeline.from_pretrained(model)(asked, errors="return"), strict=True
    ):
        assert row["error"] == result.error
        assert row["labels"] == [p.label for p in result.top(2)]
        assert row["scores"] == pytest.approx([p.score for p in result.top(2)])
    assert [i for i, row in zip(order, table.to_pylist(), strict=True) if row["error"]] == [3, 4]


def test_bytes_are_heard_in_place_of_paths_and_not_passed_on(model, paths):
    contents = [Path(path).read_bytes() for path in paths[:4]]
    tagger = Tagger(model, bytes_column="bytes")
    table = tagger({"path": column(["s3://a"] * 4), "bytes": column(contents)})
    assert "bytes" not in table.column_names
    heard = Tagger(model)({"path": column(paths[:3])})
    assert table["scores"].to_pylist()[:3] == heard["scores"].to_pylist()
    assert [error is None for error in table["error"].to_pylist()] == [True, True, True, False]


def test_types_do_not_depend_on_what_a_batch_holds(model, paths):
    tagger = Tagger(model)
    good, bad, none = (
        tagger({"path": column(part)}).schema.remove(0) for part in (paths[:3], paths[3:], [])
    )
    assert good == bad == none
    assert str(good.field("error").type) == "string"


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("path", [None, "", "\0", "~nobody/a.wav", "a" * 10_000, "."]),
        ("bytes", [None, b"", b"RIFF", b"\xff" * 1_000]),
    ],
)
def test_whatever_a_column_holds_is_an_error_of_its_own_row(name, odd, model, paths):
    good = paths[0] if name == "path" else Path(paths[0]).read_bytes()
    tagger = Tagger(model, bytes_column=name if name == "bytes" else None)
    errors = tagger({name: column([*odd, good])})["error"].to_pylist()
    assert all(errors[:-1])
    assert errors[-1] is None


def test_an_unforeseen_error_costs_only_its_own_row(model, paths, monkeypatch):
    tagger = Tagger(model)

    def fragile(audio, **options):
        if audio == paths[1]:
            raise MemoryError("a terabyte")
        return load_audio(audio, **options)

    monkeypatch.setattr(call, "load_audio", fragile)
    rows = tagger({"path": column(paths[:3])}).to_pylist()
    assert [row["error"] for row in rows] == [None, "MemoryError: a terabyte", None]
    assert [len(row["labels"]) for row in rows] == [3, 0, 3]


def test_mistakes_of_the_caller_are_raised_at_once(model, paths):
    with pytest.raises(ConfigError, match="top_k"):
        Tagger(model, top_k=0)
    with pytest.raises(ConfigError, match="no column 'path', only \\['file'\\]"):
        Tagger(model)({"file": column(paths)})
