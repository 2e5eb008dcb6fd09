"""The tool that lets the frames of a clip differ less in weight."""

from __future__ import annotations

import pytest
import torch

import choose_attention
from soundsep import Classifier, ClassifierConfig
from soundsep.frontends import KaldiMelConfig
from soundsep.labels import ESC50_LABELS


@pytest.fixture
def model():
    """With an attention that is sure of itself."""
    frontend = KaldiMelConfig(sample_rate=16_000, n_fft=512, win_length=400, hop_length=160)
    config = ClassifierConfig(
        labels=tuple(ESC50_LABELS), network="mn04-frames", frontend=frontend, activation="sigmoid"
    )
    torch.manual_seed(0)
    model = Classifier(config).eval()
    with torch.no_grad():
        model.network.attention.weight.normal_(std=0.05)
    return model


def main(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["choose_attention", *map(str, words)])
    choose_attention.main()


@torch.inference_mode()
def test_a_softened_model_is_written(model, tmp_path, monkeypatch):
    frames = torch.randn(2, 9, model.network.embedding_dim)
    logits, sharp = model.network.pooled(frames)
    model.save_pretrained(tmp_path / "before")
    main(monkeypatch, "--soften", 0.0, 0.4, tmp_path / "before", tmp_path / "even")
    raised, even = Classifier.from_pretrained(tmp_path / "even").network.pooled(frames)
    torch.testing.assert_close(raised, logits + 0.4, atol=0.02, rtol=0)  # in float16
    torch.testing.assert_close(even, logits.mean(dim=1) + 0.4, atol=0.02, rtol=0)
    assert float((sharp - logits.mean(dim=1)).abs().max()) > 0.1
    main(monkeypatch, "--soften", 0.5, 0.0, tmp_path / "before", tmp_path / "half")
    _, half = Classifier.from_pretrained(tmp_path / "half").network.pooled(frames)
    weight = (0.5 * model.network.attention(frames)).softmax(dim=1)
    torch.testing.assert_close(half, (weight * logits).sum(dim=1), atol=0.02, rtol=0)


def test_the_table_is_of_the_folds_that_models_have_not_heard(
    model, esc50, tmp_path, monkeypatch, capsys
):
    with torch.no_grad():  # says "rooster" whatever it hears, and is sure of it
        model.network.head.weight.zero_()
        model.network.head.bias.zero_()[1] = 3.0
    model.save_pretrained(tmp_path / "rooster")
    main(monkeypatch, esc50, f"2={tmp_path / 'rooster'}")
    rows = capsys.readouterr().out.splitlines()[1:]
    shares = ["50.00%"] * 4
    assert [row.split() for row in rows] == [[f"{f}", *shares] for f in choose_attention.FACTORS]


def test_other_models_have_no_attention():
    config = ClassifierConfig(labels=("a", "b"), network="cnn8", frontend=KaldiMelConfig())
    with pytest.raises(SystemExit, match="no model of scenes"):
        choose_attention.soften(Classifier(config), 0.5, 0.0)
