from __future__ import annotations

import json

import pytest

from soundsep import Classifier, ClassifierConfig, ConfigError, MelConfig


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ()},
        {"labels": ("a", "a")},
        {"labels": "ab"},
        {"labels": (1, 2)},
        {"hop_seconds": 9.0},
        {"hop_seconds": 0.0},
        {"hop_seconds": 1e-9},
        {"window_seconds": float("nan")},
        {"activation": "tanh"},
        {"padding": "wrap"},
        {"temperature": 0.0},
        {"temperature": (1.0, 2.0)},  # softmax
        {"temperature": (1.0,), "activation": "sigmoid"},
        {"thresholds": (0.5,)},
        {"thresholds": (0.5, 0.0)},
        {"thresholds": (0.5, 1.1)},
        {"thresholds": (0.5, "x")},
        {"thresholds": 0.5},
        {"median_seconds": -1.0},
        {"median_seconds": 61.0},
        {"median_seconds": (0.5, 0.5, 0.5)},
    ],
)
def test_contradicting_settings_are_refused(changes):
    with pytest.raises(ConfigError):
        ClassifierConfig(labels=("a", "b"), network="resnet18").replace(**changes)


@pytest.mark.parametrize("thresholds", [{"a": 0.9}, 0.9, "0.9"])
def test_thresholds_are_asked_for_in_the_order_of_the_labels(thresholds):
    with pytest.raises(
        ConfigError, match="thresholds must be one number per label, in their order"
    ):
        ClassifierConfig(labels=("a", "b"), network="resnet18", thresholds=thresholds)


def test_numbers_of_each_label_survive_json_and_lists():
    config = ClassifierConfig(
        labels=("a", "b"),
        network="resnet18",
        activation="sigmoid",
        temperature=[1, 2.0],
        thresholds=[0.3, 0.7],
        median_seconds=(0.2, 1.0),
    )
    assert config.temperature == (1.0, 2.0)
    assert config.label_thresholds == (0.3, 0.7)
    assert config.label_medians == (0.2, 1.0)
    assert hash(config)
    content = json.loads(json.dumps(config.to_dict()))
    assert content["thresholds"] == [0.3, 0.7]
    assert ClassifierConfig.from_dict(content) == config
    plain = ClassifierConfig(labels=("a", "b"), network="resnet18")
    assert ClassifierConfig.from_dict(json.loads(json.dumps(plain.to_dict()))) == plain
    assert plain.label_thresholds == plain.label_medians == (0.5, 0.5)
    with pytest.raises(ConfigError, match="temperature"):
        ClassifierConfig.from_dict(content | {"temperature": "high"})


def test_a_list_of_labels_becomes_a_tuple():
    config = ClassifierConfig(labels=["a", "b"], network="resnet18")
    assert config == ClassifierConfig(labels=("a", "b"), network="resnet18")
    assert hash(config)


@pytest.mark.parametrize(
    "changes",
    [
        {"window_seconds": 0.02, "frontend": MelConfig(pad_mode="reflect")},
        {"frontend": MelConfig(n_fft=2**20, hop_length=1, n_mels=2)},
    ],
)
def test_what_no_clip_could_be_heard_with_is_refused(changes):
    with pytest.raises(ConfigError, match="ClassifierConfig"):
        Classifier(ClassifierConfig(labels=("a",), network="resnet18", hop_seconds=0.02, **changes))
