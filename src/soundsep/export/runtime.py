"""Exported files in ONNX Runtime."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soundsep.errors import ConfigError, DependencyError, ShapeError, WeightsError
from soundsep.names import local_path

__all__ = ["OnnxClassifier", "require"]

FRAMES = "frame_probabilities"  # the second output


class OnnxClassifier:
    """An exported file in ONNX Runtime on the CPU, with the tensors and names of `Classifier`.

    Args:
        model: The file, or its bytes.

    Raises:
        DependencyError: onnxruntime is not installed.
        WeightsError: the file cannot be read, or `export_onnx` did not write it.
    """

    def __init__(self, model: str | Path | bytes) -> None:
        runtime = require("onnxruntime")
        try:
            self._session = runtime.InferenceSession(
                model if isinstance(model, bytes) else str(local_path(model)),
                providers=["CPUExecutionProvider"],
            )
            self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
            self.labels = tuple(json.loads(self.metadata["labels"]))
            self.sample_rate = int(self.metadata["sample_rate"])
            self.min_samples = int(self.metadata["min_samples"])
        except Exception as error:  # onnxruntime's exceptions have no common root
            name = "the exported model" if isinstance(model, bytes) else str(model)
            raise WeightsError(
                f"{name} is no classifier that soundsep exported: {error}"
            ) from error

    def predict(self, waveform: Tensor) -> Tensor:
        """Scores from 0 to 1.

        Shape:
            waveform: (batch, time), mono, at `sample_rate`. Returns (batch, n_labels).

        Raises:
            ShapeError: not (batch, time), or shorter than `min_samples`.
        """
        return self._run(waveform, "probabilities")

    def frame_scores(self, waveform: Tensor) -> Tensor:
        """Scores from 0 to 1 of every frame, of a file with ``frames=True``.

        Shape:
            waveform: (batch, time). Returns (batch, n_frames, n_labels).

        Raises:
            ConfigError: the file has no scores of frames.
            ShapeError: as `predict`.
        """
        if FRAMES not in [output.name for output in self._session.get_outputs()]:
            raise ConfigError("the exported file has no scores of frames; export with frames=True")
        return self._run(waveform, FRAMES)

    def _run(self, waveform: Tensor, output: str) -> Tensor:
        if waveform.ndim != 2 or waveform.shape[0] < 1 or waveform.shape[1] < self.min_samples:
            raise ShapeError(
                f"expected a waveform (batch, time) of at least {self.min_samples} samples, got "
                f"shape {tuple(waveform.shape)}"
            )
        batch = waveform.detach().cpu().float().contiguous().numpy()
        fixed = self._session.get_inputs()[0].shape[0] == 1
        parts = [batch[i : i + 1] for i in range(len(batch))] if fixed else [batch]
        scores = [self._session.run([output], {"waveform": part})[0] for part in parts]
        return torch.cat([torch.from_numpy(part) for part in scores])


def require(module: str) -> Any:
    """Import a module of the extra ``onnx``.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"ONNX export needs {module.partition('.')[0]}, which cannot be imported: {error}; "
            'install it with: pip install "soundsep[onnx]"'
        ) from error
