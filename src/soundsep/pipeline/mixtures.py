"""Which sources of a separated recording are classified, and how their scores are merged."""

from __future__ import annotations

from torch import Tensor

from soundsep.audio import resample
from soundsep.audio.level import without_offset
from soundsep.audio.mixdown import to_mono
from soundsep.separator import Separation

__all__ = ["MIXTURE", "audible_sources", "merge_scores"]

MIXTURE = "mixture"  # the recording itself, beside the names of its sources
# Chosen on the training folds of ESC-50: `python tools/choose_merge.py`.
FLOOR_DB = -20.0  # relative to the mixture; a source below it holds residue or nothing
SOURCE_WEIGHT = 0.5


def audible_sources(separation: Separation, sample_rate: int) -> dict[str, Tensor]:
    """The sources that hold a sound, (time,) each, in mono and at the given rate.

    Their mean power, without constant offsets, is above `FLOOR_DB` relative to the mixture.

    Args:
        separation: The sources.
        sample_rate: Rate to return, in Hz.
    """
    # All in mono, like the mixture: a source that cancels there holds no sound.
    mixture, rate = separation.mixture, separation.sample_rate
    floor = _power(to_mono(mixture, rate)) * 10 ** (FLOOR_DB / 10)
    mono = [to_mono(source, rate, like=mixture) for source in separation.audio]
    sources = dict(zip(separation.sources, mono, strict=True))
    return {
        name: resample(source, separation.sample_rate, sample_rate)
        for name, source in sources.items()
        if _power(source) > floor
    }


def _power(waveform: Tensor) -> Tensor:
    return without_offset(waveform).square().mean()


def merge_scores(scores: Tensor, *, source_weight: float = SOURCE_WEIGHT) -> tuple[Tensor, Tensor]:
    """Each label's best score over the recording and its sources, and where it was best.

    Args:
        scores: Scores of the recording itself, then of its sources.
        source_weight: Weight of the scores of sources; below 1 the recording itself decides
            where a source is hardly any surer.

    Shape:
        scores: (1 + n_sources, n_labels). Returns two tensors (n_labels,): the scores, and the row
        of each in ``scores``, the first among equal ones.

    References:
        Denton et al. (2022), "Improving bird classification with unsupervised sound separation",
        ICASSP (arXiv 2110.03209), for the best score over sources and mixture.
    """
    weights = scores.new_full((len(scores), 1), source_weight)
    weights[0] = 1.0
    merged = (scores * weights).max(dim=0)
    return merged.values, merged.indices
