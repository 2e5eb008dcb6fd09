from __future__ import annotations

import pytest
import torch

from soundsep import Classifier, ClassifierConfig, MelConfig, Pipeline
from soundsep.errors import DatasetError
from soundsep.frontends.kaldi import KaldiMelConfig
from soundsep.training import linear_probe, probe_classifier
from soundsep.training.probe import MIN_LEVEL_DB, as_backbone, hearing_soft, with_head


def clusters(n: int, *, seed: int = 0, scale: float = 1.0):
    """Two classes that a line parts, in features of very different sizes."""
    targets = torch.arange(n) % 2
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    x[:, 1] += 12 * targets
    return x * torch.tensor([1.0, 0.1, 10.0]) * scale + 5, targets


def answers(weight, bias, x):
    return (x @ weight.T + bias).argmax(dim=1)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_scale_of_features_does_not_matter(scale):
    x, targets = clusters(100, scale=scale)
    assert torch.equal(answers(*linear_probe(x, targets, n_classes=2), x), targets)


def test_each_dimension_may_have_a_unit_of_its_own():
    x, targets = clusters(40)
    other = x * torch.tensor([1.0, 30.0, 0.2]) - 3
    logits = []
    for features in (x, other):
        weight, bias = linear_probe(features, targets, n_classes=2)
        logits.append(features @ weight.T + bias)
    torch.testing.assert_close(*logits, atol=1e-2, rtol=1e-3)


def test_a_dimension_that_hardly_varies_decides_nothing():
    """Its few values may tell the classes apart by chance."""
    x, targets = clusters(20)
    x[:, 0] = 1e-6 * targets
    weight, _ = linear_probe(x, targets, n_classes=2)
    assert weight[:, 0].abs().max() < weight[:, 1].abs().max()


def test_it_ends_at_the_optimum_of_the_penalised_loss():
    x, targets = clusters(40)
    x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    weight, bias = linear_probe(x, targets, n_classes=2, l2=0.1)
    weight, bias = weight.double().requires_grad_(), bias.double().requires_grad_()
    loss = torch.nn.functional.cross_entropy(x.double() @ weight.T + bias, targets)
    (loss + 0.1 * weight.square().sum()).backward()
    assert weight.grad.abs().max() < 1e-5
    assert bias.grad.abs().max() < 1e-5


def test_every_class_has_the_same_say():
    x = torch.randn(110, 2, generator=torch.Generator().manual_seed(0))
    targets = (torch.arange(110) >= 100).long()
    x[targets == 1] += 1  # 100 to 10, and they overlap
    share = [
        float((answers(*linear_probe(x, targets, n_classes=2, balanced=b), x) == 1).float().mean())
        for b in (True, False)
    ]
    assert share[0] > 0.2 > 0.1 > share[1]
    with torch.no_grad():  # by default, and wherever it is called
        weight, _ = linear_probe(x, targets, n_classes=2)
    assert torch.equal(weight, linear_probe(x, targets, n_classes=2, balanced=True)[0])


def test_a_constant_dimension_and_an_absent_class_are_no_trouble():
    x, targets = clusters(20)
    x[:, 0] = 7
    weight, bias = linear_probe(x, targets, n_classes=3)
    assert weight.isfinite().all()
    assert torch.equal(answers(weight, bias, x), targets)


def test_examples_that_are_all_alike_decide_nothing():
    x = torch.full((4, 3), 0.5)
    weight, bias = linear_probe(x, torch.arange(4) % 2, n_classes=2)
    logits = x @ weight.T + bias
    torch.testing.assert_close(logits[:, 0], logits[:, 1])


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(DatasetError, match="nothing to learn"):
        linear_probe(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), n_classes=2)


def tiny(network: str) -> Classifier:
    frontend = KaldiMelConfig() if network.startswith("mn") else MelConfig(n_mels=16)
    config = ClassifierConfig(
        labels=("x", "y"),
        network=network,
        frontend=frontend,
        activation="sigmoid",
        temperature=2.0,
        unknown_below=0.5,
        window_seconds=0.5,
        hop_seconds=0.25,
    )
    return Classifier(config).eval()


@pytest.mark.parametrize("network", ["mn04", "mn10", "resnet18"])
def test_a_head_takes_the_body_over_and_leaves_the_backbone_alone(network):
    backbone = as_backbone(tiny(network))
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    dim = backbone.network.embedding_dim
    weight, bias = torch.randn(3, dim), torch.randn(3)
    model = with_head(backbone, ("a", "b", "c"), weight, bias)
    waveform = 0.1 * torch.randn(2, model.sample_rate // 2)
    with torch.no_grad():
        embedding = backbone.embed(waveform)
        assert torch.equal(model.embed(waveform), embedding)
        torch.testing.assert_close(model(waveform), embedding @ weight.T + bias)
    assert (model.config.activation, model.config.temperature) == ("softmax", 1.0)
    assert model.config.unknown_below is None  # it was chosen for the scores of the other head
    assert model.labels == ("a", "b", "c")
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


def test_drawing_a_head_leaves_the_global_generator_alone():
    backbone = as_backbone(tiny("resnet18"))
    state = torch.get_rng_state()
    with_head(backbone, ("a",), torch.zeros(1, 512), torch.zeros(1))
    as_backbone(tiny("resnet18"))
    assert not torch.equal(torch.get_rng_state(), state)  # the network itself was drawn
    torch.set_rng_state(state)
    with_head(backbone, ("a",), torch.zeros(1, 512), torch.zeros(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_probe_learns_its_examples():
    backbone = tiny("resnet18")
    time = torch.arange(8_000) / 16_000
    clips = [(torch.sin(6.283 * hz * time), int(hz > 1_000)) for hz in (300, 350, 3_000, 3_500)]
    model = probe_classifier(backbone, ("low", "high"), clips)
    with torch.no_grad():
        assert model(torch.stack([clip for clip, _ in clips])).argmax(dim=1).tolist() == [
            0,
            0,
            1,
            1,
        ]
    with_one_more = probe_classifier(backbone, ("low", "high", "never heard"), clips)
    assert with_one_more.predict(torch.stack([clip for clip, _ in clips])).shape == (4, 3)
    with pytest.raises(DatasetError):
        probe_classifier(backbone, ("low", "high"), [])


def test_frames_are_pooled_alike_under_a_new_head():
    torch.manual_seed(0)
    frontend = KaldiMelConfig(
        sample_rate=8_000, n_fft=256, win_length=200, hop_length=80, f_max=8e3
    )
    config = ClassifierConfig(
        labels=("a", "b", "c"),
        network="mn04-frames",
        frontend=frontend,
        activation="sigmoid",
        window_seconds=1.0,
        hop_seconds=0.5,
        thresholds=(0.3, 0.4, 0.5),
        median_seconds=(0.2, 0.6, 0.4),
    )
    backbone = Classifier(config).eval()
    torch.nn.init.normal_(backbone.network.attention.weight)
    time = torch.arange(8_000) / 8_000
    examples = [(torch.sin(6.2832 * hz * time), int(hz > 900)) for hz in (200, 300, 2_000, 3_000)]
    fitted = probe_classifier(backbone, ("low", "high"), examples)
    waveform = torch.stack([waveform for waveform, _ in examples])
    with torch.no_grad():
        logits = fitted(waveform)
        by_layer = fitted.network.head(fitted.embed(waveform))
    assert logits.argmax(dim=1).tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(logits, by_layer, atol=1e-4, rtol=1e-4)
    assert fitted.frame_logits(waveform).shape[-1] == 2
    assert (fitted.config.thresholds, fitted.config.median_seconds) == (None, 0.6)


@pytest.mark.parametrize("level", [{"level_db": 20.0}, {"min_level_db": 20.0}, None])
def test_a_backbone_with_a_level_of_its_own_or_other_features_stays_as_it_is(level):
    model = tiny("resnet18" if level is None else "mn04-bands")
    if level is not None:
        config = model.config
        model = Classifier(config.replace(frontend=config.frontend.replace(**level)))
    assert hearing_soft(model) is model


def test_a_backbone_that_raises_clips_gives_a_model_that_hears_every_window_alike():
    config = tiny("mn04-bands").config
    raising = Classifier(config.replace(clip_level_db=-35.0))
    soft = hearing_soft(raising).config
    assert (soft.clip_level_db, soft.frontend.min_level_db) == (None, MIN_LEVEL_DB)
    # Without that, a head is fitted to the embeddings of raised clips, and its clips are raised.
    clip = torch.randn(32_000, generator=torch.Generator().manual_seed(0))
    examples = [(1e-3 * clip, 0), (1e-5 * clip.cumsum(dim=0), 1)]
    fitted = probe_classifier(raising, ("a", "b"), examples)
    assert fitted.config.clip_level_db == -35.0
    pipe = Pipeline(fitted)
    for waveform, target in examples:
        named = pipe([waveform, 0.1 * waveform], sample_rate=32_000)
        assert [result.label for result in named] == ["ab"[target]] * 2
