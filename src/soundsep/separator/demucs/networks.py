"""Networks of the demucs package as members of a separator.

References:
    Rouard et al. (2023), "Hybrid transformers for music source separation", ICASSP (arXiv
    2211.08553).
    Défossez (2021), "Hybrid spectrogram and waveform source separation" (arXiv 2111.03600).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from soundsep.errors import ConfigError
from soundsep.separator.config import SeparatorConfig
from soundsep.separator.demucs.attention import fuse_self_attention
from soundsep.separator.demucs.transform import invert_by_source
from soundsep.separator.member import Member

__all__ = ["demucs_config", "demucs_members", "is_demucs"]

MAX_SEGMENT_SAMPLES = 60 * 44_100  # those of demucs' own models are at most 44 s


def is_demucs(network: object) -> bool:
    """Whether a network is one of the demucs package, or a bag of them."""
    # By name, so that nothing else has to wait for the import of demucs.
    return any(kind.__module__.startswith("demucs.") for kind in type(network).__mro__)


def demucs_config(network: Any) -> SeparatorConfig:
    """The config of a demucs network.

    Raises:
        ConfigError: it is invalid, or the models of a bag have segments of different lengths.
    """
    lengths = {int(model.samplerate * model.segment) for model in _models(network)}
    if len(lengths) > 1:
        raise ConfigError(
            f"the models of the bag have segments of {sorted(lengths)} samples; expected one length"
        )
    if (longest := max(lengths)) > MAX_SEGMENT_SAMPLES:
        raise ConfigError(
            f"a demucs model has segments of {longest} samples; expected at most "
            f"{MAX_SEGMENT_SAMPLES}, since longer ones need many GiB of memory"
        )
    return SeparatorConfig(
        sources=tuple(map(str, network.sources)),
        sample_rate=network.samplerate,
        n_channels=network.audio_channels,
        segment_seconds=lengths.pop() / network.samplerate,
    )


def demucs_members(network: Any, config: SeparatorConfig) -> list[Member]:
    """The models, each with its share of every source.

    Raises:
        ConfigError: a model does not take segments as long as the config's.
    """
    weights = torch.tensor(getattr(network, "weights", [[1.0] * len(config.sources)]), device="cpu")
    shares: dict[nn.Module, Tensor] = {}  # models that are in a bag twice differ only in weight
    for model, share in zip(_models(network), weights / weights.sum(dim=0), strict=True):
        shares[model] = shares[model] + share if model in shares else share
    members = [_member(model, share, config) for model, share in shares.items()]
    try:
        for member in members:
            member.length(config.segment_samples)
    except ValueError as error:  # raised by the transformer for too long segments
        raise ConfigError(f"segments of {config.segment_seconds} s: {error}") from error
    return members


def _models(network: Any) -> list[Any]:
    return list(getattr(network, "models", [network]))


def _member(model: Any, shares: Tensor, config: SeparatorConfig) -> Member:
    # A single number has no deviation to normalise by.
    given = partial(max, 3 - config.n_channels)
    return Member(
        network=invert_by_source(fuse_self_attention(model)),
        shares=shares,
        length=getattr(model, "valid_length", given),
        centred=True,
    )
