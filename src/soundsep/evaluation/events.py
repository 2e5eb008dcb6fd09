"""Measure the events that a pipeline finds in scenes made of clips it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

import torch
from typing_extensions import Unpack

from soundsep.audio.silence import is_silent
from soundsep.datasets import Soundscapes, true_events
from soundsep.errors import DatasetError
from soundsep.evaluation.psds import import_sed_scores_eval, polyphonic_scores
from soundsep.metrics import EventMetrics, event_metrics
from soundsep.names import unknown_labels
from soundsep.pipeline import Event, Pipeline, Scores
from soundsep.progress import progress_bar

__all__ = ["EventOptions", "measure_events"]


class EventOptions(TypedDict, total=False):
    """Options of `soundsep.Pipeline.events` that a measurement takes.

    Attributes:
        threshold: Score at which an event begins; one for all labels, or by label.
        hop_seconds: Step between windows.
        min_duration_seconds: Shorter events are dropped.
        merge_gap_seconds: Events of one label at most this far apart are one.
        min_score: Events with a lower score are dropped.
    """

    threshold: float | Mapping[str, float] | None
    hop_seconds: float | None
    min_duration_seconds: float
    merge_gap_seconds: float
    min_score: float


def measure_events(
    pipeline: Pipeline,
    scenes: Soundscapes,
    labels: Sequence[str],
    *,
    psds: bool = False,
    batch_size: int = 16,
    progress: bool = True,
    **options: Unpack[EventOptions],
) -> EventMetrics:
    """Find the events of every scene, as a user would, and compare with the truth.

    Args:
        pipeline: The model.
        scenes: Scenes; the caller must make sure that the model was not trained on their clips.
        labels: Names of the scenes' targets, in order.
        psds: Compute the polyphonic sound detection scores too, which takes a second pass and the
            extra ``eval``.
        batch_size: Windows per forward pass.
        progress: Show a progress bar, if there is a terminal.
        options: Further options of `soundsep.Pipeline.events`, see `EventOptions`.

    Raises:
        DatasetError: there are no scenes, or a label that the pipeline does not know.
        ConfigError: an option is out of range.
        DependencyError: ``psds`` is requested without the extra.
    """
    if not len(scenes):
        raise DatasetError("there are no scenes to find events in")
    if unknown := set(labels) - set(pipeline.labels):
        raise DatasetError(unknown_labels(unknown, pipeline.labels))
    rate = scenes.config.sample_rate
    tables: list[tuple[Scores, list[Event]]] = []

    def heard() -> Iterator[tuple[list[Event], list[Event]]]:
        numbers = range(len(scenes))
        for index in progress_bar(numbers, progress=progress, unit="scene", desc="listening"):
            scene = scenes[index]
            truth = true_events(scene, labels)
            found: list[Event] = []
            common: dict[str, Any] = {
                "sample_rate": rate,
                "batch_size": batch_size,
                "progress": False,
            }
            if is_silent(scene.waveform):  # which a pipeline refuses
                if psds:
                    seconds = len(scene.waveform) / rate
                    tables.append((_silence(pipeline.labels, seconds), truth))
            else:
                found = [*pipeline.events(scene.waveform, **common, **options)]
                if psds:
                    common["hop_seconds"] = options.get("hop_seconds")
                    tables.append((pipeline.scores(scene.waveform, **common), truth))
            yield truth, found

    if psds:
        import_sed_scores_eval()  # fails at once if the extra is missing
    metrics = event_metrics(heard(), seconds=len(scenes) * scenes.config.n_samples / rate)
    if not psds:
        return metrics
    psds1, psds2 = polyphonic_scores(tables)
    return replace(metrics, psds1=psds1, psds2=psds2)


def _silence(labels: tuple[str, ...], seconds: float) -> Scores:
    """Scores of a scene without any sound, which counts in false alarms per hour like any other."""
    return Scores(
        values=torch.zeros(1, len(labels)),
        start_seconds=torch.zeros(1, dtype=torch.float64),
        labels=labels,
        window_seconds=seconds,
        hop_seconds=seconds,
        duration_seconds=seconds,
    )
