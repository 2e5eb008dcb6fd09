"""Batch norm folded into convolutions: other arithmetic, the same scores, the same classifier."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from soundsep import Classifier, ClassifierConfig, MelConfig, Pipeline
from soundsep.classifier.inference import InferenceCopy, fold_batch_norm
from soundsep.classifier.scoring import MAX_SLICE_BYTES, forward_in_slices
from soundsep.frontends import KaldiMelConfig, WaveformConfig
from soundsep.models import NETWORKS, WAVEFORM_NETWORKS

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def classifier(network: str = "mn04", **settings) -> Classifier:
    """One whose batch norms are no identities, and whose scores depend on what it hears."""
    frontend = (
        WaveformConfig()
        if network in WAVEFORM_NETWORKS
        else KaldiMelConfig(n_mels=128, f_max=14_000.0)
    )
    torch.manual_seed(0)
    config = ClassifierConfig(
        labels=("a", "b", "c"), network=network, frontend=frontend, window_seconds=1.0,
        hop_seconds=0.5, **settings
    )  # fmt: skip
    model = Classifier(config)
    for module in model.modules():
        if isinstance(module, NORMS):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    sound = torch.randn(8, config.window_samples) * torch.logspace(-2, 0, 8).unsqueeze(1)
    with torch.no_grad():
        model(sound)
        model.eval()
        spread = model(sound).std(dim=0).clamp(min=1e-6)
        last = model.network.head if isinstance(model.network.head, nn.Linear) else None
        if last is not None:
            last.weight.div_(8 * spread.unsqueeze(1))
    return model


def folding() -> InferenceCopy:
    return InferenceCopy(lambda model: fold_batch_norm(model.network))


def noise(n: int, model: Classifier, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(n, model.config.window_samples, generator=generator)


@pytest.mark.parametrize("network", NETWORKS)
@torch.inference_mode()
def test_scores_are_the_same_and_no_batch_norm_is_left(network):
    model = classifier(network)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folded = folding().of(model)
    assert any(isinstance(module, NORMS) for module in model.modules())
    assert not any(isinstance(module, NORMS) for module in folded.modules())
    sound = noise(3, model)
    expected = model.predict(sound)
    torch.testing.assert_close(folded.predict(sound), expected, atol=1e-5, rtol=0)
    scale = 10 * model.embed(sound).abs().max()  # untrained layers add to what was rounded
    torch.testing.assert_close(
        folded.embed(sound) / scale, model.embed(sound) / scale, atol=1e-5, rtol=0
    )
    if model.frame_seconds is not None:
        torch.testing.assert_close(
            folded.frame_scores(sound), model.frame_scores(sound), atol=1e-5, rtol=0
        )
    # The classifier itself is what is trained and saved.
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class Skipping(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        convolved = self[0](x)
        return convolved + self[1](convolved)


def test_what_is_no_plain_pair_stays():
    stays = nn.Sequential(
        nn.Conv2d(2, 2, 1), nn.ReLU(), nn.BatchNorm2d(2), nn.Linear(2, 2), nn.BatchNorm1d(2)
    )
    assert fold_batch_norm(stays) is stays
    free = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
    assert fold_batch_norm(free) is free
    watched = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    watched[1].register_forward_hook(lambda *_: None)
    assert fold_batch_norm(watched) is watched
    changed = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    changed[0].register_forward_hook(lambda _module, _given, found: 2 * found)
    assert fold_batch_norm(changed) is changed
    fed = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    fed[0].register_forward_pre_hook(lambda _module, given: (2 * given[0],))
    assert fold_batch_norm(fed) is fed
    other_order = Skipping(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    assert fold_batch_norm(other_order) is other_order
    computed = nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2))
    nn.utils.parametrizations.weight_norm(computed[0])
    assert fold_batch_norm(computed) is computed


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_bias_and_affine_weights_are_taken_along(affine, bias):
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv1d(4, 6, 3, padding=1, groups=2, bias=bias), nn.BatchNorm1d(6, affine=affine)
    )
    plain(3 + torch.randn(8, 4, 20))
    if affine:
        nn.init.normal_(plain[1].weight)
        nn.init.normal_(plain[1].bias)
    x = torch.randn(2, 4, 20)
    torch.testing.assert_close(fold_batch_norm(plain.eval())(x), plain(x), atol=1e-5, rtol=1e-5)


def test_the_layout_of_weights_is_kept():
    model = classifier().to(memory_format=torch.channels_last)
    folded = folding().of(model)
    weight = folded.network.blocks[3].expand[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def test_weights_that_change_are_folded_again():
    model, inference = classifier(), folding()
    sound = noise(2, model)
    first = inference.of(model)
    assert inference.of(model).network is first.network
    changes = {
        "an optimiser's step": lambda: model.network.stem[0].weight.mul_(1.5),
        "statistics": lambda: model.train()(noise(4, model, seed=2)),
        "loaded": lambda: model.load_state_dict(classifier(activation="sigmoid").state_dict()),
        "assigned": lambda: setattr(model.network.stem[1].bias, "data", torch.ones(8)),
        "another layer": lambda: setattr(
            model.network, "head", nn.Linear(model.network.embedding_dim, 3)
        ),
        "a layer without weights": lambda: setattr(model.network.stem, "2", nn.Tanh()),
        "a norm's constant": lambda: setattr(model.network.stem[1], "eps", 0.5),
        "a hook": lambda: model.network.stem[1].register_forward_hook(
            lambda _module, _given, found: 2 * found
        ),
    }
    last = first.predict(sound)
    for change in changes.values():
        change()
        now = inference.of(model).predict(sound)
        assert not model.training
        torch.testing.assert_close(now, model.predict(sound), atol=1e-5, rtol=0)
        assert (now - last).abs().max() > 1e-5
        last = now


def test_settings_are_read_from_the_classifier():
    model, inference = classifier(), folding()
    first = inference.of(model)
    model.config = model.config.replace(temperature=2.0)
    assert inference.of(model).config.temperature == 2.0
    assert inference.of(model).network is first.network


def _fold(model: Classifier) -> nn.Module:
    return fold_batch_norm(model.network)


def test_copies_and_pickles_leave_the_network_out():
    model, inference = classifier(), InferenceCopy(_fold)
    inference.of(model)
    for other in (copy.deepcopy(inference), pickle.loads(pickle.dumps(inference))):
        assert vars(other)["_made"] is None
        assert not any(isinstance(m, NORMS) for m in other.of(model).modules())


def test_a_batch_runs_in_even_slices_of_bounded_memory():
    model = Classifier(ClassifierConfig(labels=("a",), network="mn04", frontend=MelConfig()))
    sizes: list[int] = []

    def forward(windows: torch.Tensor) -> torch.Tensor:
        sizes.append(len(windows))
        return windows.sum(dim=1)

    most = MAX_SLICE_BYTES // model.config.window_bytes
    assert most > 2
    for n in (1, most, most + 1, 3 * most + 2):
        sizes.clear()
        windows = torch.randn(n, 10)
        assert torch.equal(forward_in_slices(model, forward, windows), windows.sum(dim=1))
        assert sum(sizes) == n
        assert len(sizes) == -(-n // most)
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("made", [torch.no_grad, torch.inference_mode])
def test_a_classifier_made_in_inference_mode_is_run_out_of_it(made):
    expected = classifier().eval()
    with made():
        model = Classifier(expected.config)
        model.load_state_dict(expected.state_dict())
    pipe = Pipeline(model)  # lays out its weights anew
    windows = noise(2, model)
    for _ in range(2):
        with torch.no_grad():
            torch.testing.assert_close(
                pipe._model.predict(windows), expected.predict(windows), atol=1e-5, rtol=0
            )
