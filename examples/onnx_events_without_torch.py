#!/usr/bin/env python3
"""Say when sounds occur in a wav file, with a model exported with its frames, without torch.

    soundsep export scenes50-mn04 --frames -o model.onnx            (where soundsep is installed)
    python examples/onnx_events_without_torch.py model.onnx RECORDING

It needs what onnx_without_torch.py beside it needs: numpy, soundfile and onnxruntime. It prints the
events of soundsep's `Pipeline.events` with its default settings, but holds the whole recording in
memory, and does not cut events of more than an hour.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import: some versions report
import onnxruntime
from onnx_without_torch import is_silent, padded, read, start

RELEASE = 0.5  # share of the threshold: an event goes on while its score is not below that
MERGE_GAP_SECONDS = 1.0  # events of one label that are no further apart are one


class Event(NamedTuple):
    """A sound with its highest score; times in seconds."""

    start_seconds: float
    end_seconds: float
    label: str
    score: float


def frame_scores(
    session: onnxruntime.InferenceSession, about: dict[str, str], samples: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Scores (n_frames, n_labels), where frame ``i`` has its middle ``i * frame_seconds`` on.

    Each is the mean over the windows that hold the frame. A window has more weight the nearer the
    frame is to its middle, and says nothing of frames that came before the one before it was over.
    """
    rate = int(about["sample_rate"])
    frame, window = (round(float(about[key]) * rate) for key in ("frame_seconds", "window_seconds"))
    step = max(1, window // 2 // frame)  # frames from window to window: half a window
    weights = 1 - abs(np.arange(0, window, frame) - window / 2) / (window / 2 + frame)
    n_frames = -(-samples.size // frame)
    last = -(-max(0, samples.size - window) // frame)
    sums = np.zeros((last + weights.size, len(json.loads(about["labels"]))))
    totals = np.zeros((last + weights.size, 1))
    done, n_heard = 0, 0  # frames before `done` are final
    for first in [*range(0, last, step), last]:
        piece = padded(samples[first * frame :][:window], window, about["padding"])
        known = slice(max(first, done), first + weights.size)
        part = weights[known.start - first :, np.newaxis]
        totals[known] += part
        if not is_silent(piece):  # else all its scores are 0
            (scores,) = session.run(["frame_probabilities"], {"waveform": piece[np.newaxis]})
            sums[known] += part * scores[0][known.start - first :]
            n_heard += 1
        done = first + step
    if not n_heard:
        sys.exit("the recording holds nothing but digital silence")
    return (sums / totals)[:n_frames]


def smoothed(scores: NDArray[np.float64], about: dict[str, str]) -> NDArray[np.float64]:
    """Each label's median over an odd number of frames; the first and last frame are repeated."""
    frame, smooth = float(about["frame_seconds"]), scores.copy()
    seconds = np.broadcast_to(json.loads(about["config"])["median_seconds"], scores.shape[1])
    for index, length in enumerate(seconds):
        half = max(0, round((length / frame - 1) / 2))
        column = np.pad(scores[:, index], half, mode="edge")
        smooth[:, index] = np.median(sliding_window_view(column, 2 * half + 1), axis=1)
    return smooth


def events(scores: NDArray[np.float64], about: dict[str, str], n_samples: int) -> Iterator[Event]:
    """The events of every label: from a frame that reaches its threshold to the last that does."""
    rate, labels = int(about["sample_rate"]), json.loads(about["labels"])
    frame = round(float(about["frame_seconds"]) * rate)
    thresholds = np.float32(json.loads(about.get("thresholds", "null")) or [0.5] * len(labels))
    # In samples, of which a gap of exactly a second has a whole number.
    starts = np.maximum(0, np.arange(len(scores)) - 0.5) * frame
    ends = np.append(starts[1:], n_samples)
    for label, threshold, column in zip(labels, thresholds, np.float32(scores).T, strict=True):
        active = np.flatnonzero(column >= threshold)
        if not active.size:
            continue
        is_new = [
            column[one:other].min() < RELEASE * threshold
            and starts[other] - ends[one] > MERGE_GAP_SECONDS * rate
            for one, other in pairwise(active)
        ]
        for part in np.split(active, np.flatnonzero(is_new) + 1):
            begin, end = starts[part[0]] / rate, ends[part[-1]] / rate
            yield Event(begin, end, label, column[part].max())


def main(model: str, recording: str) -> None:
    """Print the events, ordered by their start."""
    session, about = start(model)
    if "frame_seconds" not in about:
        sys.exit(f"{model} has no frames; export it with --frames")
    samples = read(recording, about)
    scores = smoothed(frame_scores(session, about, samples), about)
    for event in sorted(events(scores, about, samples.size)):
        print(f"{event[0]:8.2f} - {event[1]:8.2f} s  {event[3]:.3f}  {event[2]}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
