"""Learning each label by itself from copies of some clips, and answering others."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.classifier import Classifier
from soundsep.classifier.config import DEFAULT_THRESHOLD
from soundsep.classifier.scoring import score_waveforms
from soundsep.datasets import Piece
from soundsep.devices import to_device
from soundsep.errors import AudioError
from soundsep.models import HEAD
from soundsep.training.calibration import Calibration, fit_sigmoid
from soundsep.training.embedding_cache import load_clips
from soundsep.training.frame_head import NOTHING, frame_probe, with_frame_head
from soundsep.training.nothing import Doubt

__all__ = ["FrameLearner"]

MIN_THRESHOLD = 0.2  # lowest threshold, even if all noise scores less


class FrameLearner:
    """As `Learner`, but every label is learnt by itself, and noise as none of them.

    Args:
        backbone: Classifier to fit heads to, with or without frames.
        labels: Names of the classes.
        rows: Rows of every clip, from `FrameCopies.of_files`.
        noise: Rows of `FrameCopies.of_noise` to train on.
        other_noise: Rows of `FrameCopies.of_noise` to calibrate with.
        unheard_noise: Rows of `FrameCopies.of_noise` to measure the threshold with.
        targets: Index of the class of every clip.
        also: Other classes that every clip holds.
        audio: File or piece of every clip, to be classified as by a user.
        device: Device to classify clips on, such as ``"cpu"`` or ``"cuda"``.

    Shape:
        targets: (n,). also: (n, n_classes), bool.
    """

    activation = "sigmoid"

    def __init__(
        self,
        backbone: Classifier,
        labels: tuple[str, ...],
        rows: Sequence[Tensor],
        noise: Tensor,
        other_noise: Tensor,
        unheard_noise: Tensor,
        targets: Tensor,
        also: Tensor,
        audio: Sequence[Path | Piece],
        *,
        device: str | torch.device,
    ) -> None:
        self.backbone, self.labels = backbone, labels
        self.rows, self.noise = rows, noise
        self.other_noise, self.unheard_noise = other_noise, unheard_noise
        self.targets, self.also, self.audio, self.device = targets, also, audio, device
        # The head of all clips is asked for again. Kept here: a cache of the class would keep the
        # last learner, with all its rows, as long as the process lasts.
        self._head = functools.lru_cache(maxsize=1)(self._fitted)

    def learn(self, chosen: NDArray[np.int64]) -> Classifier:
        """A classifier, on the CPU, trained on the copies of some clips, and on noise.

        Args:
            chosen: Indices of the clips, (n_chosen,).
        """
        weight, bias = self._head(tuple(int(i) for i in chosen))
        return with_frame_head(self.backbone, self.labels, weight, bias)

    def _fitted(self, chosen: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        rows = torch.cat([self.noise, *(self.rows[i] for i in chosen)])
        targets = [torch.full((len(self.noise),), NOTHING)]
        unsure = [torch.zeros(len(self.noise), len(self.labels), dtype=torch.bool)]
        for i in chosen:
            is_there = self.rows[i][:, 0] > 0
            targets.append(torch.where(is_there, self.targets[i], NOTHING))
            unsure.append(self.also[i].expand(len(is_there), -1))
        return frame_probe(
            rows[:, 1:],
            torch.cat(targets),
            n_classes=len(self.labels),
            unsure=torch.cat(unsure) if self.also.any() else None,
        )

    def answer(self, model: Classifier, chosen: NDArray[np.int64]) -> Tensor:
        """The model's logits of some clips, the highest over time of every label.

        Args:
            model: Result of `learn`.
            chosen: Indices of the clips, (n_chosen,).

        Shape:
            Returns (n_chosen, n_classes).

        Raises:
            AudioError: a clip cannot be read.
        """
        moved = to_device(copy.deepcopy(model), self.device)
        audio = [self.audio[i] for i in chosen]

        def waveforms() -> Iterator[tuple[Path | Piece, Tensor]]:
            for one, waveform in load_clips(audio, moved):
                if isinstance(waveform, AudioError):
                    raise waveform
                yield one, waveform

        scored = dict(score_waveforms(moved, waveforms(), batch_size=16))
        scores = torch.stack([scored[one] for one in audio])
        return scores.double().clamp(1e-12, 1 - 1e-7).logit().float()

    def calibrate(self, logits: Tensor, chosen: NDArray[np.int64]) -> Calibration:
        """The calibration of the scores of held-out clips; other sounds in them do not count.

        Args:
            logits: Logits of these clips.
            chosen: Indices of the clips, (n_chosen,).

        Shape:
            logits: (n_chosen, n_classes).
        """
        weight, bias = self._head(tuple(range(len(self.targets))))
        return fit_sigmoid(
            logits,
            self.targets[chosen],
            self.other_noise[:, 1:] @ weight.T + bias,
            unsure=self.also[chosen],
        )

    def confidences(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """The best score of each clip.

        Shape:
            logits: (n, n_classes). Returns (n,).
        """
        temperature, offset = calibration
        return ((logits + offset) / temperature).sigmoid().amax(dim=1)

    @torch.no_grad()
    def calibrated(self, model: Classifier, calibration: Calibration) -> tuple[Classifier, Doubt]:
        """Calibrate the model, with a threshold that no noise reaches, if possible.

        Args:
            model: Result of `learn`; it is changed and returned.
            calibration: Result of `calibrate`.
        """
        bias = model.get_parameter(f"{HEAD}.bias").add_(calibration.offset)
        weight = model.get_parameter(f"{HEAD}.weight")
        chosen, unheard = (
            ((noise[:, 1:] @ weight.T + bias) / calibration.temperature).sigmoid().amax(dim=1)
            for noise in (self.other_noise, self.unheard_noise)
        )
        threshold = round(min(max(float(chosen.max()) + 1e-3, MIN_THRESHOLD), DEFAULT_THRESHOLD), 3)
        model.config = model.config.replace(
            temperature=calibration.temperature, thresholds=(threshold,) * len(self.labels)
        )
        return model, Doubt(threshold, float((unheard >= threshold).float().mean()))
