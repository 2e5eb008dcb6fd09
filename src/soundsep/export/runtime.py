"""Exported files in ONNX Runtime."""

from __future__ import annotations

import importlib
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soundsep.classifier import ClassifierConfig
from soundsep.config import check_whole
from soundsep.devices import check_tensor
from soundsep.errors import ConfigError, DependencyError, ShapeError, WeightsError
from soundsep.export.session import OwnSession
from soundsep.names import local_path

__all__ = ["OnnxClassifier", "require"]

FRAMES = "frame_probabilities"  # the second output


class OnnxClassifier:
    """An exported file in ONNX Runtime on the CPU, for `soundsep.Pipeline` or by itself.

    Args:
        model: File, or its bytes.
        n_threads: Threads of ONNX Runtime; by default as many as there are cores.

    Attributes:
        metadata: Metadata of the file, as text.
        config: Settings of the exported classifier.
        labels: Names of the outputs, in order.
        sample_rate: Rate of the waveforms, in Hz.
        min_samples: Shortest waveform that the graph takes, in samples.
        frame_length: Step between frames, in samples; ``None`` if the file has none.

    Raises:
        DependencyError: onnxruntime is not installed.
        ConfigError: ``n_threads`` is below 1.
        WeightsError: the file cannot be read, or was not written by `export_onnx`.
    """

    def __init__(self, model: str | Path | bytes, *, n_threads: int | None = None) -> None:
        require("onnxruntime")
        if n_threads is not None:
            n_threads = check_whole("n_threads", n_threads, least=1)
        if not isinstance(model, bytes) and not local_path(model).is_file():
            raise WeightsError(f"{model} is no file; expected one that soundsep exported")
        self._made_of = model if isinstance(model, bytes) else str(local_path(model).absolute())
        self._n_threads = n_threads
        self._own = OwnSession()
        try:
            self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
            self.config = ClassifierConfig.from_dict(json.loads(self.metadata["config"]))
            self.labels = self.config.labels
            self.sample_rate = self.config.frontend.sample_rate
            self.min_samples = int(self.metadata["min_samples"])
            frame = self.metadata.get("frame_seconds")
            self.frame_length = None if frame is None else round(float(frame) * self.sample_rate)
        except Exception as error:  # onnxruntime's exceptions have no common root
            name = "the exported model" if isinstance(model, bytes) else str(model)
            raise WeightsError(
                f"{name} is not a classifier that soundsep exported: {error}"
            ) from error

    @property
    def _session(self) -> Any:
        return self._own.of(self._started)

    def _started(self) -> Any:
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        if self._n_threads is not None:
            options.intra_op_num_threads = self._n_threads
        return runtime.InferenceSession(self._made_of, options, providers=["CPUExecutionProvider"])

    def __reduce__(self) -> tuple[Any, ...]:
        """For copies and other processes, which load the file, or its bytes, again."""
        return partial(type(self), n_threads=self._n_threads), (self._made_of,)

    def __repr__(self) -> str:
        """The network, the number of labels and the rate."""
        size = f"{len(self.labels)} labels, {self.sample_rate} Hz"
        return f"OnnxClassifier({self.config.network}, {size})"

    def predict(self, waveform: Tensor) -> Tensor:
        """Scores from 0 to 1.

        Shape:
            waveform: (batch, time), mono, at `sample_rate`. Returns (batch, n_labels).

        Raises:
            ShapeError: not (batch, time), not floating point, or shorter than `min_samples`.
        """
        return self._run(waveform, "probabilities")

    def frame_scores(self, waveform: Tensor) -> Tensor:
        """Scores from 0 to 1 of every frame, if the file was exported with ``frames=True``.

        Shape:
            waveform: (batch, time), mono, at `sample_rate`. Returns (batch, n_frames, n_labels).

        Raises:
            ConfigError: the file has no scores of frames.
            ShapeError: not (batch, time), not floating point, or shorter than `min_samples`.
        """
        if self.frame_length is None:
            raise ConfigError("the exported file has no scores of frames; export with frames=True")
        return self._run(waveform, FRAMES)

    def _run(self, waveform: Tensor, output: str) -> Tensor:
        check_tensor("OnnxClassifier", waveform, "(batch, time)")
        if waveform.ndim != 2 or waveform.shape[0] < 1 or waveform.shape[1] < self.min_samples:
            raise ShapeError(
                f"expected a waveform (batch, time) of at least {self.min_samples} samples, got "
                f"shape {tuple(waveform.shape)}"
            )
        batch = waveform.detach().cpu().float().contiguous().numpy()
        session = self._session
        fixed = session.get_inputs()[0].shape[0] == 1
        parts = [batch[i : i + 1] for i in range(len(batch))] if fixed else [batch]
        scores = [session.run([output], {"waveform": part})[0] for part in parts]
        return torch.cat([torch.from_numpy(part) for part in scores])


def require(module: str) -> Any:
    """Import a module of the extra ``onnx``.

    ONNX Runtime reports to its makers from 1.29 on. That is switched off before it is imported,
    unless ``ORT_DISABLE_TELEMETRY`` is set already.

    Args:
        module: Dotted name.

    Raises:
        DependencyError: it is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"ONNX needs {module.partition('.')[0]}, which cannot be imported: {error}; "
            'install it with: pip install "soundsep[onnx]"'
        ) from error
