"""Export a classifier, check the graph, and only then write the file."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch

from soundsep._version import __version__
from soundsep.classifier import Classifier
from soundsep.config import check_number
from soundsep.errors import ConfigError, DependencyError, ExportError
from soundsep.export.check import TOLERANCE, Comparison, ExportReport, compare, example_length
from soundsep.export.graph import quantised, traced
from soundsep.export.runtime import OnnxClassifier, require
from soundsep.files import write_bytes
from soundsep.names import local_path

__all__ = ["export_onnx"]


def export_onnx(
    classifier: Classifier,
    path: str | Path,
    *,
    name: str | None = None,
    int8: bool = False,
    tolerance: float = TOLERANCE,
    frames: bool = False,
) -> ExportReport:
    """Write a classifier as one ONNX graph, from the waveform to the scores.

    The graph takes ``waveform`` (batch, time), any batch and length, and returns ``probabilities``
    (batch, n_labels); whatever else a program needs is in the file's metadata. Before the file is
    written, its scores are compared with PyTorch's on synthetic clips.

    Args:
        classifier: Model to export; it is not changed.
        path: File to write. An existing one is replaced, but not if the check fails.
        name: Name of the model in the metadata; by default that of its network.
        int8: Quantise the network's weights to 8 bits, and its activations while it runs. The graph
            then takes one clip at a time, because the range of the activations would be that of the
            whole batch, and its scores differ from PyTorch's; the report says by how much.
        tolerance: Largest difference of a score that passes the check; with ``int8`` all pass.
        frames: Add a second output, ``frame_probabilities`` (batch, n_frames, n_labels), as from
            `Classifier.frame_scores`.

    Raises:
        ConfigError: ``classifier`` is something else, ``frames`` is set and it has none, or
            ``tolerance`` is not a number of at least 0.
        DependencyError: onnx or onnxruntime is not installed.
        ExportError: the classifier cannot be expressed in ONNX, its scores there differ by more
            than ``tolerance`` or are NaN, or the file cannot be written.
    """
    if not isinstance(classifier, Classifier):
        raise ConfigError(
            f"export_onnx takes a Classifier, got {classifier!r:.80}: that of a pipeline is "
            "pipe.classifier, that of a name Classifier.from_pretrained(name)"
        )
    check_number("tolerance", tolerance, least=0)
    if frames and classifier.frame_seconds is None:
        raise ConfigError(
            f"network {classifier.config.network!r} has no frames whose scores could be exported"
        )
    onnx = require("onnx")
    require("onnxruntime")
    source = copy.deepcopy(classifier).cpu().float().eval()
    try:
        target = local_path(path)
    except ConfigError as error:  # no such user
        raise ExportError(f"cannot write {path}: {error}") from error
    name = name or source.config.network
    try:
        with torch.device("cpu"):  # where the copy is, whatever the default
            n_samples = example_length(source)
            data = traced(source, n_samples=n_samples, dynamic_batch=not int8, frames=frames)
            model = onnx.load_model_from_string(quantised(data) if int8 else data)
            onnx.helper.set_model_props(model, _metadata(source, name, int8=int8, frames=frames))
            data = model.SerializeToString()
            found = compare(source, OnnxClassifier(data), frames=frames)
    except DependencyError:
        raise
    except Exception as error:  # those of torch, onnx and onnxruntime have no common root
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(
            f"{name} cannot be exported to ONNX: {reason}; {target} was not written"
        ) from error
    largest = 1.0 if int8 else tolerance
    if not found.max_difference <= largest:  # also refuses NaN
        raise ExportError(_differs(source, target, found, largest))
    _write(target, data)
    return ExportReport(path=target, size_bytes=len(data), **found._asdict())


def _differs(classifier: Classifier, path: Path, found: Comparison, largest: float) -> str:
    reason = ""
    if getattr(classifier.config.frontend, "scaling", None) == "image":
        reason = (
            ' (its features are rounded to integers, scaling="image": a value halfway may fall to '
            "either side, so a small difference is expected)"
        )
    return (
        f"the exported graph does not give PyTorch's scores: expected a difference of at most "
        f"{largest:g}, found {found.max_difference:.2g} on {found.n_checks} synthetic clips"
        f"{reason}; {path} was not written"
    )


def _metadata(classifier: Classifier, name: str, *, int8: bool, frames: bool) -> dict[str, str]:
    config = classifier.config
    more = {"frame_seconds": repr(classifier.frame_seconds)} if frames else {}
    if config.activation == "sigmoid":
        more["thresholds"] = json.dumps(config.label_thresholds)
    if config.clip_level_db is not None:
        more["clip_level_db"] = repr(config.clip_level_db)
    return {
        "labels": json.dumps(config.labels, ensure_ascii=False),
        "sample_rate": str(classifier.sample_rate),
        "window_seconds": repr(config.window_seconds),
        "hop_seconds": repr(config.hop_seconds),
        "padding": config.padding,
        "min_seconds": repr(config.min_samples / classifier.sample_rate),
        "min_samples": str(classifier.frontend.min_samples),
        "activation": config.activation,
        "model": name,
        "weights": "int8" if int8 else "float32",
        "soundsep_version": __version__,
        "config": json.dumps(config.to_dict(), ensure_ascii=False),
        **more,
    }


def _write(path: Path, data: bytes) -> None:
    """Write the whole file, or leave what is there."""
    try:
        write_bytes(path, data)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
