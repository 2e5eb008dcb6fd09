"""Train on some clips and classify others: a probe, or the whole network."""

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
from soundsep.training.nothing import Doubt, unknown_score
from soundsep.training.probe import linear_probe, with_head
from soundsep.training.recipes import get_recipe

__all__ = ["Learner"]


class Learner:
    """Trains on some of a set of clips, and classifies others.

    Args:
        backbone: Result of `as_backbone`.
        labels: Names of the classes.
        embeddings: Embedding of every clip by the backbone.
        targets: Index of the class of every clip.
        waveforms: Waveform (time,) of every clip, to fine-tune the network; ``None`` fits only the
            head.
        copies: Embeddings of copies of every clip, which the head learns too.
        seed: Seed of fine-tuning.
        device: Device to fine-tune on, such as ``"cpu"`` or ``"cuda"``.
        progress: Show the progress bars of fine-tuning.

    Shape:
        embeddings: (n, embedding_dim). targets: (n,). copies: (n_copies, embedding_dim) each.
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
        copies: Sequence[Tensor] | None = None,
        seed: int,
        device: str | torch.device,
        progress: bool,
    ) -> None:
        self.backbone, self.labels = backbone, labels
        self.embeddings, self.targets, self.waveforms = embeddings, targets, waveforms
        self.copies = copies
        self.seed, self.device, self.progress = seed, device, progress

    def learn(self, chosen: NDArray[np.int64]) -> Classifier:
        """A classifier, on the CPU, trained on some clips.

        Args:
            chosen: Indices of the clips, (n_chosen,).
        """
        rows, targets = self.embeddings[chosen], self.targets[chosen]
        if self.copies is not None:
            copied = [self.copies[i] for i in chosen]
            n_copies = torch.tensor([len(of_clip) for of_clip in copied])
            rows = torch.cat([rows, *copied])
            targets = torch.cat([targets, targets.repeat_interleave(n_copies)])
        weight, bias = linear_probe(rows, targets, n_classes=len(self.labels))
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

    def calibrate(self, logits: Tensor, chosen: NDArray[np.int64]) -> Calibration:
        """The calibration of the scores of held-out clips.

        Args:
            logits: Logits of these clips.
            chosen: Indices of the clips, (n_chosen,).

        Shape:
            logits: (n_chosen, n_classes).
        """
        return Calibration(fit_temperature(logits, self.targets[chosen]))

    def confidences(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """The best score of each clip.

        Shape:
            logits: (n, n_classes). Returns (n,).
        """
        return (logits / calibration.temperature).softmax(dim=1).amax(dim=1)

    def calibrated(self, model: Classifier, calibration: Calibration) -> tuple[Classifier, Doubt]:
        """Calibrate the model, and find the score below which it is not sure.

        Args:
            model: Result of `learn`; it is changed and returned.
            calibration: Result of `calibrate`.
        """
        model.config = model.config.replace(temperature=calibration.temperature)
        moved = to_device(copy.deepcopy(model), self.device)
        doubt = unknown_score(moved, seed=self.seed)
        model.config = model.config.replace(unknown_below=doubt.threshold)
        return model, doubt

    @torch.inference_mode()
    def answer(self, model: Classifier, chosen: NDArray[np.int64]) -> Tensor:
        """The model's logits of some clips.

        Args:
            model: Result of `learn`.
            chosen: Indices of the clips, (n_chosen,).

        Shape:
            Returns (n_chosen, n_classes).
        """
        if self.waveforms is None:
            logits: Tensor = model.network.head(self.embeddings[chosen])
            return logits
        waveforms = ((i, self.waveforms[i]) for i in chosen)
        moved = to_device(copy.deepcopy(model), self.device)
        # Windows are averaged as scores, so the logarithm of these serves as logits.
        scored = score_waveforms(moved, waveforms, batch_size=16)
        return torch.stack([scores for _, scores in scored]).clamp(min=1e-30).log()
