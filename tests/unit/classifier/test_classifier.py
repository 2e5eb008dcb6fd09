from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from soundsep import Classifier, ClassifierConfig, ConfigError, WeightsError


@pytest.fixture
def model() -> Classifier:
    return Classifier(ClassifierConfig(labels=("a", "b"), network="resnet18"))


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_outputs_have_the_documented_shapes(model):
    waveform = torch.randn(3, 8_000)
    assert model(waveform).shape == (3, 2)
    assert model.embed(waveform).shape == (3, 512)
    torch.testing.assert_close(model.eval().predict(waveform).sum(dim=1), torch.ones(3))


def test_sigmoid_scores_do_not_compete():
    config = ClassifierConfig(labels=("a", "b"), network="resnet18", activation="sigmoid")
    logits = torch.tensor([[9.0, 9.0]])
    assert (Classifier(config).probabilities(logits) > 0.99).all()


def test_each_label_may_have_its_temperature():
    config = ClassifierConfig(
        labels=("a", "b"), network="cnn4", activation="sigmoid", temperature=(1.0, 10.0)
    )
    scores = Classifier(config).probabilities(torch.full((2, 5, 2), 3.0))
    torch.testing.assert_close(scores[1, 4], torch.tensor([3.0, 0.3]).sigmoid())


def test_frontend_tables_are_not_in_the_checkpoint(model):
    assert not [key for key in model.state_dict() if key.startswith("frontend")]


def test_an_unknown_network_is_refused():
    with pytest.raises(ConfigError, match="resnet18"):
        Classifier(ClassifierConfig(labels=("a",), network="os.system"))


def test_unknown_keys_in_the_config_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    edit(tmp_path, surprise=1)
    with pytest.raises(ConfigError, match="surprise"):
        Classifier.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"format": "other"}, {"format_version": 2}, {"format_version": None}]
)
def test_other_formats_are_refused(model, tmp_path, changes):
    model.save_pretrained(tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(WeightsError, match="version"):
        Classifier.from_pretrained(tmp_path)


@pytest.mark.parametrize("content", [None, [], {}, {"labels": "ab", "network": "resnet18"}])
def test_a_config_without_content_is_refused(model, tmp_path, content):
    model.save_pretrained(tmp_path)
    edit(tmp_path, classifier=content)
    with pytest.raises(ConfigError):
        Classifier.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "wrap",
    [lambda net: torch.compile(net, backend="eager"), nn.DataParallel],
    ids=["compile", "DataParallel"],
)
def test_a_wrapped_network_is_saved_by_its_own_names(tmp_path, wrap):
    model = Classifier(ClassifierConfig(labels=("a", "b"), network="cnn4"))
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.network = wrap(model.network)
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(Classifier.from_pretrained(tmp_path).state_dict(), dict(expected))


def test_another_network_than_the_config_names_is_not_saved(model, tmp_path):
    model.network.head = nn.Linear(512, 3)
    with pytest.raises(ConfigError, match=r"not 'resnet18'.* 2 names .*network\.head"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_weights_of_another_shape_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    edit(tmp_path, classifier=model.config.replace(labels=("a", "b", "c")).to_dict())
    with pytest.raises(WeightsError, match="do not fit"):
        Classifier.from_pretrained(tmp_path)


def test_loading_leaves_the_random_state_alone(model, tmp_path):
    model.save_pretrained(tmp_path)
    before = torch.get_rng_state()
    Classifier.from_pretrained(tmp_path)
    assert torch.equal(before, torch.get_rng_state())
