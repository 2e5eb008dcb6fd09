"""Features that stay the same in every epoch, computed once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from soundsep.audio.windows import pad_to
from soundsep.classifier import Classifier
from soundsep.datasets.array_cache import ArrayCache
from soundsep.digests import code_digest, digest
from soundsep.names import local_path
from soundsep.progress import progress_bar
from soundsep.training.examples import Example
from soundsep.training.recipe import Recipe

__all__ = ["fixed_features"]


COMPUTED_BY = ("frontends", "audio", "classifier")


@torch.inference_mode()
def fixed_features(
    model: Classifier,
    recipe: Recipe,
    training: Sequence[Example],
    *,
    cache: Path | None,
    progress: bool,
) -> list[Tensor] | None:
    """Features of every clip, if the recipe augments no waveform.

    Args:
        model: Classifier whose frontend computes the features.
        recipe: Recipe of the training.
        training: Clips to train on.
        cache: Folder to keep the features in for later runs, under a hash of the samples, the
            settings of the frontend and the code that computes them.
        progress: Show a progress bar.

    Returns:
        Tensors (n_features, frames) on the CPU; ``None`` if waveforms are augmented.
    """
    if not recipe.has_fixed_features:
        return None
    kept = ArrayCache(cache and local_path(cache) / f"features-{code_digest(*COMPUTED_BY)[:12]}")
    settings = json.dumps(model.config.frontend.to_dict(), sort_keys=True)
    n_samples = model.config.window_samples
    device = next(model.parameters()).device
    features = []
    for clip, _ in progress_bar(training, progress=progress, unit="clip", desc="features"):
        # As for the trained model.
        waveform = pad_to(clip[:n_samples], n_samples, padding=model.config.padding)
        array = kept.get(key := digest(settings, waveform))
        if array is None:
            array = model.features(waveform[None].to(device))[0].cpu().numpy()
            kept.put(key, array)
        features.append(torch.from_numpy(array))
    return features
