"""The tool that averages the weights of classifiers."""

from __future__ import annotations

import pytest
import torch

import average_models
from soundsep import Classifier, ClassifierConfig, MelConfig


@pytest.fixture
def folders(tmp_path):
    """Two models of other weights."""
    paths = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = Classifier(ClassifierConfig(labels=("hum", "rest"), network="resnet18"))
        model.save_pretrained(tmp_path / str(seed))
        paths.append(tmp_path / str(seed))
    return paths


def main(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["average_models", *map(str, words)])
    average_models.main()


def test_weights_are_the_weighted_mean(folders, tmp_path, monkeypatch):
    main(monkeypatch, tmp_path / "mean", *folders, "--weights", 3, 1)
    first, second, mean = (
        Classifier.from_pretrained(folder).state_dict() for folder in [*folders, tmp_path / "mean"]
    )
    for name, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * first[name] + 0.25 * second[name])


def test_other_labels_or_features_and_wrong_weights_are_refused(
    folders, tmp_path, monkeypatch, capsys
):
    for changes in ({"labels": ("rest", "hum")}, {"frontend": MelConfig(f_min=100.0)}):
        settings = {"labels": ("hum", "rest"), "network": "resnet18", **changes}
        Classifier(ClassifierConfig(**settings)).save_pretrained(tmp_path / "other")
        with pytest.raises(SystemExit, match="different networks, labels or features"):
            main(monkeypatch, tmp_path / "mean", folders[0], tmp_path / "other")
    with pytest.raises(SystemExit, match="a sum above 0"):
        main(monkeypatch, tmp_path / "mean", *folders, "--weights", 0, 0)
    with pytest.raises(SystemExit):
        main(monkeypatch, tmp_path / "mean", *folders, "--weights", 1)
    assert "2 models, but 1 weights" in capsys.readouterr().err
