"""Polyphonic sound detection scores, by the package sed_scores_eval (extra ``eval``)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundsep.errors import ConfigError, DependencyError
from soundsep.metrics import LabelledSpan
from soundsep.pipeline import Scores

__all__ = ["import_sed_scores_eval", "polyphonic_scores", "score_table"]

# Parameters of the DCASE challenge, task 4, since 2021.
SCENARIOS: tuple[dict[str, float | None], ...] = (
    {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_ct": 0.0, "alpha_st": 1.0},
    {
        "dtc_threshold": 0.1,
        "gtc_threshold": 0.1,
        "cttc_threshold": 0.3,
        "alpha_ct": 0.5,
        "alpha_st": 1.0,
    },
)
MAX_EFPR = 100.0  # false alarms per hour, up to where the area is taken


def import_sed_scores_eval() -> Any:
    """The package.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            # It imports dcase_util and through it pkg_resources, which warns of its removal.
            warnings.simplefilter("ignore")
            import sed_scores_eval
    except ImportError as error:
        raise DependencyError(
            f"PSDS needs sed_scores_eval, which cannot be imported: {error}; install it with: pip "
            'install "soundsep[eval]"'
        ) from error
    return sed_scores_eval


def score_table(
    values: NDArray[np.float64], edges_seconds: NDArray[np.float64], labels: Sequence[str]
) -> Any:
    """A table for sed_scores_eval.

    Args:
        values: Scores, (n_frames, n_labels).
        edges_seconds: Boundaries of the frames, (n_frames + 1,).
        labels: Names of the columns.

    Raises:
        DependencyError: sed_scores_eval is not installed.
    """
    sed = import_sed_scores_eval()
    import pandas as pd

    class Table(pd.DataFrame):  # type: ignore[misc]  # pandas ships no types
        """Gives arrays that may be written to, which pandas 3 does not, as 0.0.4 asks for."""

        @property
        def _constructor(self) -> type[Table]:
            return Table

        def to_numpy(self, *args: Any, **options: Any) -> Any:
            return super().to_numpy(*args, **options).copy()

    table = sed.base_modules.scores.create_score_dataframe(
        values, timestamps=edges_seconds, event_classes=list(labels)
    )
    return Table(table)


def polyphonic_scores(
    recordings: Sequence[tuple[Scores, Sequence[LabelledSpan]]],
) -> tuple[float, float]:
    """PSDS of scenario 1, which rewards exact times, and 2, which rewards correct labels.

    Args:
        recordings: Scores and true events of each recording; events of one label do not overlap.

    Raises:
        ConfigError: there are no recordings or no true events.
        DependencyError: sed_scores_eval is not installed.

    References:
        Bilen et al. (2020), "A framework for the robust evaluation of sound event detection".
        Ebbers, Serizel, Haeb-Umbach (2022), "Threshold-independent evaluation of sound event
        detection scores".
    """
    sed = import_sed_scores_eval()
    if not recordings:
        raise ConfigError("there are no recordings to compute PSDS from")
    labels = {event.label for _, truth in recordings for event in truth}
    if not labels:
        raise ConfigError("PSDS is computed from true events, and the recordings have none")
    # The package fails on a single class. Two that are the same get the score of one: there is no
    # spread, and a false alarm that covers too little of the one is none of the other.
    suffixes = ["", " again"] if len(labels) == 1 else [""]
    tables, truths, lengths = {}, {}, {}
    for number, (scores, truth) in enumerate(recordings):
        name = str(number)
        kept = [label for label in scores.labels if label in labels]
        columns = [scores.labels.index(label) for label in kept]
        values = np.tile(scores.values[:, columns].double().numpy(), len(suffixes))
        names = [label + suffix for suffix in suffixes for label in kept]
        tables[name] = score_table(values, scores.edges_seconds.double().numpy(), names)
        truths[name] = [
            (e.start_seconds, e.end_seconds, e.label + suffix) for suffix in suffixes for e in truth
        ]
        lengths[name] = scores.duration_seconds
    first, second = (
        sed.intersection_based.psds(
            scores=tables,
            ground_truth=truths,
            audio_durations=lengths,
            unit_of_time="hour",
            max_efpr=MAX_EFPR,
            **scenario,
        )[0]
        for scenario in SCENARIOS
    )
    return float(first), float(second)
