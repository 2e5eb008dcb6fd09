"""What is heard of a recording that was separated, and how the answers become one."""

from __future__ import annotations

from torch import Tensor

from soundsep.audio import resample
from soundsep.audio.mixdown import to_mono
from soundsep.separator import Separation

__all__ = ["MIXTURE", "audible_sources", "merge_scores"]

MIXTURE = "mixture"  # the recording itself, beside the names of its sources
# Chosen on the training folds of ESC-50: `python tools/choose_merge.py`.
FLOOR_DB = -20.0  # of a source below the mixture: what is left of a sound, or nothing at all
SOURCE_WEIGHT = 0.5


def audible_sources(
    separation: Separation, sample_rate: int, *, floor_db: float = FLOOR_DB
) -> dict[str, Tensor]:
    """The sources that hold a sound, (time,) each, mono and at the rate asked for.

    Args:
        separation: The sources.
        sample_rate: Wanted, in Hz.
        floor_db: A source whose mean power is not this far above that of the mixture is left out.
    """
    # All in mono, as the mixture is heard: what cancels there holds no sound.
    mixture, rate = separation.mixture, separation.sample_rate
    floor = to_mono(mixture, rate).square().mean() * 10 ** (floor_db / 10)
    mono = [to_mono(source, rate, like=mixture) for source in separation.audio]
    sources = dict(zip(separation.sources, mono, strict=True))
    return {
        name: resample(source, separation.sample_rate, sample_rate)
        for name, source in sources.items()
        if source.square().mean() > floor
    }


def merge_scores(scores: Tensor, *, source_weight: float = SOURCE_WEIGHT) -> tuple[Tensor, Tensor]:
    """Each label's best score over all that was heard, and where it was best.

    Args:
        scores: Of the recording itself, then of its sources.
        source_weight: Scores of sources count for so much; below 1 the recording itself has the
            say where a source is hardly any surer.

    Shape:
        scores: (1 + n_sources, n_labels). Returns two tensors (n_labels,): scores, and rows of
        ``scores``; of equal ones the first.

    References:
        Denton et al. (2022), "Improving bird classification with unsupervised sound separation",
        ICASSP (arXiv 2110.03209), for the best score over sources and mixture.
    """
    weights = scores.new_full((len(scores), 1), source_weight)
    weights[0] = 1.0
    merged = (scores * weights).max(dim=0)
    return merged.values, merged.indices
