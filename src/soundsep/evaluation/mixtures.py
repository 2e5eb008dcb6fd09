"""What separating gains, in decibels and in sounds that are named."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from soundsep.audio import resample
from soundsep.classifier import ClassifierLike
from soundsep.classifier.audible import clip_gain, clip_windows
from soundsep.classifier.checks import check_classifier
from soundsep.classifier.scoring import score_windows
from soundsep.datasets import Mixture, Mixtures
from soundsep.errors import ConfigError, DatasetError
from soundsep.metrics import average_precision, permutation_invariant, si_sdr
from soundsep.pipeline.mixtures import audible_sources, merge_scores
from soundsep.progress import progress_bar
from soundsep.separator import Separator

__all__ = ["NamingMetrics", "SeparationMetrics", "measure_naming", "measure_separation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NamingMetrics:
    """How well the sounds of mixtures are named, each metric a share from 0 to 1.

    Attributes:
        n_mixtures: Number of mixtures classified.
        all_found: Mixtures of n sounds whose n best labels are exactly theirs.
        one_found: Mixtures whose best label is one of theirs.
        mean_average_precision: Mean over the classes; the mixtures ranked by the class's score.
    """

    n_mixtures: int
    all_found: float
    one_found: float
    mean_average_precision: float

    @classmethod
    def of(cls, scores: ArrayLike, targets: Sequence[Sequence[int]]) -> NamingMetrics:
        """Metrics of scores.

        Args:
            scores: Score of every label for every mixture, (n_mixtures, n_labels).
            targets: Classes of every mixture.
        """
        answers = np.asarray(scores, np.float64)
        best = [
            set(np.argsort(-s)[: len(t)].tolist()) for s, t in zip(answers, targets, strict=True)
        ]
        truth = np.zeros(answers.shape, bool)
        for row, wanted in zip(truth, targets, strict=True):
            row[list(wanted)] = True
        ranked = [
            average_precision(truth[:, k], answers[:, k])
            for k in range(len(answers[0]))
            if truth[:, k].any()
        ]
        return cls(
            n_mixtures=len(answers),
            all_found=float(np.mean([a == set(t) for a, t in zip(best, targets, strict=True)])),
            one_found=float(truth[np.arange(len(truth)), answers.argmax(axis=1)].mean()),
            mean_average_precision=float(np.mean(ranked)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SeparationMetrics:
    """How much a separator improves its sources, in dB.

    Attributes:
        improvements: `soundsep.metrics.si_sdr_improvement` of every source in the best order,
            (n_mixtures, n_sources).
        targets: Class of every source, (n_mixtures, n_sources).
        seconds_per_second: Time to separate a second of sound on this machine.
    """

    improvements: NDArray[np.float64]
    targets: NDArray[np.int64]
    seconds_per_second: float

    def __repr__(self) -> str:
        """Its size and the mean."""
        n_mixtures, n_sources = self.improvements.shape
        size = f"{n_mixtures} mixtures of {n_sources} sources"
        return f"SeparationMetrics({size}, SI-SDR improved by {self.improvements.mean():.2f} dB)"

    def by_class(self) -> dict[int, float]:
        """Mean improvement of the sources of each class, best first."""
        found: dict[int, list[float]] = defaultdict(list)
        for target, value in zip(self.targets.flat, self.improvements.flat, strict=True):
            found[int(target)].append(float(value))
        means = {target: float(np.mean(values)) for target, values in found.items()}
        return dict(sorted(means.items(), key=lambda item: -item[1]))

    def by_pair(self) -> dict[tuple[int, ...], float]:
        """Mean improvement of the mixtures of each combination of classes, best first."""
        found: dict[tuple[int, ...], list[float]] = defaultdict(list)
        for classes, values in zip(self.targets, self.improvements, strict=True):
            found[tuple(sorted(map(int, classes)))].append(float(values.mean()))
        means = {classes: float(np.mean(values)) for classes, values in found.items()}
        return dict(sorted(means.items(), key=lambda item: -item[1]))

    def to_dict(self, labels: Sequence[str], *, n_extremes: int = 3) -> dict[str, Any]:
        """Plain types only, ready for JSON; mean and median are over the mixtures."""
        each = self.improvements.mean(axis=1)
        pairs = [(" + ".join(labels[t] for t in p), round(v, 2)) for p, v in self.by_pair().items()]
        classes = [(labels[t], round(v, 2)) for t, v in self.by_class().items()]
        return {
            "n_mixtures": len(each),
            "si_sdr_improvement_mean_db": round(float(each.mean()), 3),
            "si_sdr_improvement_median_db": round(float(np.median(each)), 3),
            "share_of_mixtures_made_worse": round(float((each < 0).mean()), 4),
            "seconds_per_second": round(self.seconds_per_second, 4),
            "best_classes": classes[:n_extremes],
            "worst_classes": classes[: -n_extremes - 1 : -1],
            "best_pairs": pairs[:n_extremes],
            "worst_pairs": pairs[: -n_extremes - 1 : -1],
        }


def measure_separation(
    separator: Separator, mixtures: Mixtures, *, progress: bool = True
) -> SeparationMetrics:
    """Separate every mixture and compare with what it was mixed from.

    Args:
        separator: A separator with as many sources as the mixtures, in any order.
        mixtures: Mixtures at its rate.
        progress: Show a progress bar, if there is a terminal.

    Raises:
        ConfigError: the separator has another rate or number of sources.
        DatasetError: there are no mixtures.
    """
    if not len(mixtures):
        raise DatasetError("there are no mixtures to separate")
    config = mixtures.config
    if (separator.sample_rate, len(separator.sources)) != (config.sample_rate, config.n_sources):
        raise ConfigError(
            f"{separator!r} cannot be measured on mixtures of {config.n_sources} sources at "
            f"{config.sample_rate} Hz"
        )
    values, seconds = [], 0.0
    for mixture in _bar(mixtures, "separating", progress):
        began = time.perf_counter()
        separation = separator(mixture.waveform, config.sample_rate, progress=False)
        seconds += time.perf_counter() - began
        after = permutation_invariant(separation.audio.mean(dim=1)[None], mixture.sources[None])[0]
        before = si_sdr(mixture.waveform.expand_as(mixture.sources), mixture.sources)
        values.append((after[0] - before).numpy())
    return SeparationMetrics(
        improvements=np.array(values, np.float64),
        targets=np.array([m.targets for m in mixtures]),
        seconds_per_second=seconds / (len(mixtures) * config.seconds),
    )


def measure_naming(
    classifier: ClassifierLike,
    mixtures: Mixtures,
    *,
    separator: Separator | None = None,
    use_true_sources: bool = False,
    batch_size: int = 16,
    progress: bool = True,
) -> NamingMetrics:
    """Name the sounds of every mixture, as `soundsep.Pipeline` does, and compare with the truth.

    Args:
        classifier: A classifier with its labels in the order of the mixtures' targets.
        mixtures: Mixtures at any rate.
        separator: Separates them first; ``None`` classifies them as they are.
        use_true_sources: Give the classifier the true sources instead, as from a perfect separator.
        batch_size: Windows per forward pass.
        progress: Show a progress bar, if there is a terminal.

    Raises:
        ConfigError: ``classifier`` is none, or both a separator and the true sources are requested.
        DatasetError: there are no mixtures.
    """
    if use_true_sources and separator is not None:
        raise ConfigError("the true sources need no separator")
    if not len(mixtures):
        raise DatasetError("there are no mixtures to name")
    check_classifier("measure_naming", classifier)
    given, wanted = mixtures.config.sample_rate, classifier.sample_rate

    def heard() -> Iterator[tuple[int, list[Tensor]]]:
        for number, mixture in enumerate(_bar(mixtures, "naming", progress)):
            waveform = resample(mixture.waveform, given, wanted)
            gain = clip_gain(classifier, waveform)
            if use_true_sources:
                sources = [*resample(mixture.sources, given, wanted)]
            elif separator is not None:
                separation = separator(mixture.waveform, given, progress=False)
                sources = [*audible_sources(separation, wanted).values()]
            else:
                sources = []
            for one in (waveform, *sources):
                yield number, clip_windows(classifier, one, gain=gain)

    rows = defaultdict[int, list[Tensor]](list)
    for number, row in score_windows(classifier, heard(), batch_size=batch_size):
        rows[number].append(row)
    scores = torch.stack([merge_scores(torch.stack(own))[0] for own in rows.values()])
    return NamingMetrics.of(scores.numpy(), [m.targets for m in mixtures])


def _bar(mixtures: Mixtures, what: str, progress: bool) -> Iterator[Mixture]:
    yield from progress_bar(
        (mixtures[i] for i in range(len(mixtures))),
        total=len(mixtures),
        progress=progress,
        unit="mixture",
        desc=what,
    )
