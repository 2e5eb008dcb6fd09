"""Trained classifiers that teach another one by their scores of the same waveforms.

References:
    Hinton et al. (2015), "Distilling the knowledge in a neural network".
    Romero et al. (2015), "FitNets: hints for thin deep nets", ICLR, for the regressed embedding.
    Beyer et al. (2022), "Knowledge distillation: a good teacher is patient and consistent", CVPR:
    teacher and student get the same view of every example, mixtures included.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soundsep._torchaudio import torchaudio
from soundsep.classifier import Classifier
from soundsep.classifier.audible import clip_windows
from soundsep.classifier.scoring import embed_windows
from soundsep.models import FrameNetwork
from soundsep.training.autocast import bfloat16_for

__all__ = ["Teacher", "Teachers"]


class Teacher(nn.Module):
    """Probabilities and embeddings of a classifier, for another one to learn.

    A classifier of several labels at once gives the softmax of its logits: how its labels compare.
    Soft waveforms are not raised (``clip_level_db``): the level is part of what the student hears.

    Args:
        classifier: Trained classifier; it must not have been trained on the student's test clips.
        training: Waveforms (time,) of the student's training clips, over which the mean and the
            standard deviation of the teacher's embedding are taken.
        sample_rate: Rate of the student's waveforms, in Hz.
    """

    def __init__(
        self, classifier: Classifier, training: Sequence[Tensor], *, sample_rate: int
    ) -> None:
        super().__init__()
        self.classifier = classifier.eval().requires_grad_(requires_grad=False)
        self.sample_rate = sample_rate
        waveforms = map(self._at_its_rate, training)
        heard = ((i, clip_windows(classifier, w, gain=1.0)) for i, w in enumerate(waveforms))
        embedded = embed_windows(classifier, heard, batch_size=32)
        embeddings = torch.stack([embedding for _, embedding in embedded])
        embeddings = embeddings.to(next(classifier.parameters()).device)
        self.register_buffer("mean", embeddings.mean(dim=0))
        self.register_buffer("scale", embeddings.std(dim=0, correction=0).clamp(min=1e-3))
        self.mean: Tensor
        self.scale: Tensor

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding."""
        return self.classifier.network.embedding_dim

    @torch.no_grad()
    def forward(self, waveform: Tensor, *, bfloat16: bool) -> tuple[Tensor, Tensor]:
        """Probabilities and standardised embeddings.

        Args:
            waveform: Waveforms of the student.
            bfloat16: Run the network under bfloat16 autocast.

        Shape:
            waveform: (batch, time). Returns (batch, n_labels) and (batch, embedding_dim).
        """
        features = self.classifier.features(self._at_its_rate(waveform))
        network = self.classifier.network
        with bfloat16_for(features, enabled=bfloat16):
            if isinstance(network, FrameNetwork):
                frames = network.embed_frames(features)
                embedding, logits = frames.mean(dim=1), network.pooled(frames)[1]
            else:
                embedding = network.embed(features)
                logits = network.head(embedding)
        standard = (embedding.float() - self.mean) / self.scale
        scores = self.classifier.probabilities(logits.float())
        if self.classifier.config.activation == "sigmoid":
            scores = scores.logit(eps=1e-6).softmax(dim=-1)
        return scores, standard

    def _at_its_rate(self, waveform: Tensor) -> Tensor:
        # On the device and for the whole batch, which the resampler of soundsep.audio cannot do.
        resampled: Tensor = torchaudio().functional.resample(
            waveform, self.sample_rate, self.classifier.sample_rate
        )
        return resampled


class Teachers(nn.Module):
    """The mean probabilities of several teachers, and the embeddings of all, side by side.

    Args:
        members: The teachers, of the same labels and for waveforms of the same rate.
    """

    def __init__(self, members: Sequence[Teacher]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def embedding_dim(self) -> int:
        """Length of all embeddings together."""
        return sum(member.embedding_dim for member in self._all())

    @torch.no_grad()
    def forward(self, waveform: Tensor, *, bfloat16: bool) -> tuple[Tensor, Tensor]:
        """As `Teacher.forward`, for all of them.

        Args:
            waveform: Waveforms of the student.
            bfloat16: Run the networks under bfloat16 autocast.

        Shape:
            waveform: (batch, time). Returns (batch, n_labels) and (batch, embedding_dim).
        """
        answers = [member(waveform, bfloat16=bfloat16) for member in self._all()]
        probabilities = torch.stack([p for p, _ in answers]).mean(dim=0)
        return probabilities, torch.cat([embedding for _, embedding in answers], dim=-1)

    def _all(self) -> list[Teacher]:
        return [member for member in self.members if isinstance(member, Teacher)]
