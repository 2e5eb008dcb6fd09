"""Learning from some clips and answering others: a probe, or the whole network."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.classifier import Classifier
from soundsep.classifier.scoring import score_waveforms
from soundsep.devices import to_device
from soundsep.training.calibration import Calibration, fit_temperature
from soundsep.training.classifier import train
from soundsep.training.probe import linear_probe, with_head
from soundsep.training.recipes import get_recipe

__all__ = ["Learner"]


class Learner:
    """Learns from some of a set of clips, and answers others.

    Args:
        backbone: What to build upon, of `as_backbone`.
        labels: Names of the classes.
        embeddings: The backbone's, of every clip.
        targets: Index of the class of every clip.
        waveforms: Every clip, (time,), to fine-tune the network on; ``None`` fits the head only.
        seed: Seed of fine-tuning.
        device: Where to fine-tune.
        progress: Show the bars of fine-tuning.

    Shape:
        embeddings: (n, embedding_dim). targets: (n,).
    """

    activation = "softmax"

    def __init__(
        self,
        backbone: Classifier,
        labels: tuple[str, ...],
        embeddings: Tensor,
        targets: Tensor,
        waveforms: Sequence[Tensor] | None,
        *,
        seed: int,
        device: str | torch.device,
        progress: bool,
    ) -> None:
        self.backbone, self.labels = backbone, labels
        self.embeddings, self.targets, self.waveforms = embeddings, targets, waveforms
        self.seed, self.device, self.progress = seed, device, progress

    def learn(self, chosen: NDArray[np.int64]) -> Classifier:
        """A classifier, on the CPU, that knows nothing but the clips of these indices."""
        weight, bias = linear_probe(
            self.embeddings[chosen], self.targets[chosen], n_classes=len(self.labels)
        )
        probe = with_head(self.backbone, self.labels, weight, bias)
        if self.waveforms is None:
            return probe
        with tempfile.TemporaryDirectory() as output:
            _, averaged = train(
                get_recipe("finetune"),
                labels=self.labels,
                training=[(self.waveforms[i], int(self.targets[i])) for i in chosen],
                held_out=(),
                output=output,
                seed=self.seed,
                device=self.device,
                progress=self.progress,
                initial=probe,
            )
        probe.load_state_dict(averaged.state_dict())
        return probe

    def calibrate(self, logits: Tensor, targets: Tensor) -> Calibration:
        """What makes the scores of these held-out clips mean what they say."""
        return Calibration(fit_temperature(logits, targets))

    def confidences(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """The best score of each clip, (n,)."""
        return (logits / calibration.temperature).softmax(dim=1).amax(dim=1)

    def calibrated(self, model: Classifier, calibration: Calibration) -> Classifier:
        """The model, whose scores are calibrated now."""
        model.config = model.config.replace(temperature=calibration.temperature)
        return model

    @torch.inference_mode()
    def answer(self, model: Classifier, chosen: NDArray[np.int64]) -> Tensor:
        """The model's logits (n_chosen, n_classes) of the clips of these indices."""
        if self.waveforms is None:
            logits: Tensor = model.network.head(self.embeddings[chosen])
            return logits
        waveforms = ((i, self.waveforms[i]) for i in chosen)
        moved = to_device(copy.deepcopy(model), self.device)
        # The mean over windows is one of scores; their logarithm serves as logits.
        scored = score_waveforms(moved, waveforms, batch_size=16)
        return torch.stack([scores for _, scores in scored]).clamp(min=1e-30).log()
