from __future__ import annotations

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
    ],
)
def test_contradicting_settings_are_refused(changes):
    with pytest.raises(ConfigError):
        ClassifierConfig(labels=("a", "b"), network="resnet18").replace(**changes)


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
