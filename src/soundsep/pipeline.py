"""`Pipeline`: from any recording to named, scored labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from soundsep.classifier import Classifier
from soundsep.windows import split_windows


@torch.inference_mode()
def score_waveforms(
    classifier: Classifier, waveforms: Sequence[Tensor], *, batch_size: int
) -> Tensor:
    """Scores of whole clips: cut into windows, one forward a batch of windows, averaged by clip.

    Shape:
        waveforms: each (time,), mono, at the classifier's rate. Returns (n_clips, n_labels).
    """
    config = classifier.config
    device = next(classifier.parameters()).device
    was_training = classifier.training
    classifier.eval()
    windows = [
        split_windows(
            waveform,
            window=round(config.window_seconds * classifier.sample_rate),
            hop=round(config.hop_seconds * classifier.sample_rate),
            padding=config.padding,
        )
        for waveform in waveforms
    ]
    batches = torch.cat(windows).split(batch_size)
    scores = torch.cat([classifier.predict(batch.to(device)) for batch in batches])
    classifier.train(was_training)
    return torch.stack([part.mean(dim=0) for part in scores.split([len(w) for w in windows])])
