from __future__ import annotations

import json

import pytest
import torch

from soundsep.datasets import MixtureConfig
from soundsep.errors import ConfigError
from soundsep.models.separation import (
    SEPARATION_NETWORKS,
    MaskUNet,
    build_separation_network,
)
from soundsep.separator import Separator
from soundsep.training import loop
from soundsep.training.separator import (
    SeparationRecipe,
    separation_loss,
    separator_config,
    train_separator,
)


class Tiny(MaskUNet):
    def __init__(self, n_sources: int) -> None:
        super().__init__(n_sources=n_sources, channels=(4, 8), n_fft=64)


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch):
    monkeypatch.setitem(SEPARATION_NETWORKS, "tiny", Tiny)


def tones() -> list[tuple[torch.Tensor, int]]:
    """A low class and a high one: easy to tell apart."""
    time = torch.arange(2_000) / 1_000
    return [
        (0.3 * torch.sin(6.2832 * frequency * time), int(frequency > 250))
        for frequency in (40.0, 60.0, 80.0, 100.0, 300.0, 350.0, 400.0, 450.0)
    ]


RECIPE = SeparationRecipe(
    network="tiny",
    mixtures=MixtureConfig(sample_rate=1_000, seconds=1.0, is_rolled=True),
    epochs=2,
    n_mixtures=160,
    learning_rate=2e-2,
    ema_decay=0.5,
    bfloat16=False,
)

RECORDED = [-9.4291, -27.1036]


@pytest.mark.parametrize("n_sources", [1, 2, 3])
@pytest.mark.parametrize("n_samples", [1, 63, 1_000, 4_097])
def test_sources_add_up_to_the_mixture(n_sources, n_samples):
    network = build_separation_network("tiny", n_sources=n_sources).eval()
    mixture = torch.randn(2, 1, n_samples, generator=torch.Generator().manual_seed(1))
    sources = network(mixture)
    assert sources.shape == (2, n_sources, 1, n_samples)
    torch.testing.assert_close(sources.sum(dim=1), mixture, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["mask-unet", "mask-unet-wide"])
@pytest.mark.parametrize("n_samples", [1, 300, 8_001])
def test_sources_of_published_networks_add_up(name, n_samples):
    network = moved(name)
    mixture = torch.randn(2, 1, n_samples, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        sources = network(mixture)
        spectrum = network._transform(mixture[:, 0])
        total = network.masks(spectrum).sum(dim=1)
    assert sources.shape == (2, 2, 1, n_samples)
    torch.testing.assert_close(sources.sum(dim=1), mixture, atol=1e-4, rtol=0)
    torch.testing.assert_close(total, torch.ones_like(total))
    assert not torch.allclose(sources[:, 0], sources[:, 1], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "n_parameters"), [("mask-unet", 2_675_314), ("mask-unet-wide", 4_845_614)]
)
def test_a_clip_alone_in_a_batch_louder_or_silent(name, n_parameters):
    network = moved(name)
    assert sum(p.numel() for p in network.parameters()) == n_parameters
    clips = torch.randn(3, 1, 8_000, generator=torch.Generator().manual_seed(1))
    clips[1] = 0.0
    with torch.inference_mode():
        together = network(clips)
        torch.testing.assert_close(network(clips[:1]), together[:1], atol=1e-5, rtol=0)
        torch.testing.assert_close(
            network(1e-3 * clips[:1]), 1e-3 * together[:1], atol=1e-8, rtol=1e-3
        )
    assert (together[1] == 0).all()


def moved(name: str) -> MaskUNet:
    """A network that is away from its first weights, some of which are 0."""
    network = build_separation_network(name, n_sources=2).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network


@pytest.mark.parametrize("n_samples", [1, 63, 64, 65, 127, 1_000])
def test_the_inverse_is_that_of_torch(n_samples):
    network = Tiny(n_sources=1)
    spectrum = network._transform(torch.randn(3, n_samples))
    spectrum = spectrum * torch.rand(spectrum.shape)
    torch.testing.assert_close(
        network._inverse(spectrum, n_samples),
        torch.istft(spectrum, 64, 32, window=network.window, length=n_samples),
        atol=1e-5,
        rtol=1e-5,
    )


def test_bfloat16_changes_little():
    network = moved("mask-unet-wide")
    mixture = torch.randn(1, 1, 16_000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = network(mixture)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(mixture)
    assert rough.dtype == torch.float32
    assert (rough - whole).square().mean() < 1e-3 * whole.square().mean()


def test_it_learns_goes_on_after_a_kill_and_ends_with_the_same_weights(tmp_path, monkeypatch):
    whole = train_separator(RECIPE, tones(), output=tmp_path / "whole", progress=False)
    sources = torch.stack([clip[:1_000] for clip, _ in tones()])[[0, 4, 1, 7]].view(2, 2, -1)
    untrained = build_separation_network("tiny", n_sources=2)
    assert separation_loss(whole.last, sources) < separation_loss(untrained, sources) - 5

    # As it was before all trainings shared one loop.
    lines = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["training_loss"] for line in lines]
    assert losses == pytest.approx(RECORDED, abs=1e-2)

    saved = loop.save_state

    def killed(*args, **kwargs):
        saved(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            train_separator(RECIPE, tones(), output=tmp_path / "cut", progress=False)
    resumed = train_separator(RECIPE, tones(), output=tmp_path / "cut", progress=False)
    for name, value in whole.ema.state_dict().items():
        assert torch.equal(resumed.ema.state_dict()[name], value), name
    with pytest.raises(ConfigError, match="other settings"):
        train_separator(RECIPE.replace(batch_size=4), tones(), output=tmp_path / "cut")
    another_fold = [(clip * 0.9, target) for clip, target in tones()]
    with pytest.raises(ConfigError, match="other settings"):
        train_separator(RECIPE, another_fold, output=tmp_path / "cut")


def test_what_was_trained_is_saved_and_loaded(tmp_path):
    network = build_separation_network("tiny", n_sources=2)
    Separator(network, separator_config(RECIPE)).save_pretrained(tmp_path)
    loaded = Separator.from_pretrained(tmp_path)
    mixture = tones()[0][0] + tones()[5][0]
    first = loaded(mixture).audio
    torch.testing.assert_close(first, Separator(network, separator_config(RECIPE))(mixture).audio)
    assert loaded.sources == ("source1", "source2")


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"ema_decay": 1.0}]
)
def test_recipes_that_cannot_be_run(wrong):
    with pytest.raises(ConfigError):
        SeparationRecipe(**wrong)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"device": "nope"}])
def test_options_that_do_not_exist_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError):
        train_separator(RECIPE, tones(), output=tmp_path, progress=False, **wrong)


def test_no_such_network():
    with pytest.raises(ConfigError, match="mask-unet"):
        build_separation_network("os.system", n_sources=2)
