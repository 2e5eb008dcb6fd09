"""Classifiers as ONNX files: one graph from the waveform to the scores, checked against PyTorch."""

from __future__ import annotations

import copy
import importlib
import json
import math
import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundsep import __version__
from soundsep._torchaudio import torchaudio
from soundsep.classifier import Classifier
from soundsep.errors import DependencyError, WeightsError

__all__ = ["TOLERANCE", "ExportReport", "OnnxClassifier", "export_onnx"]

TOLERANCE = 1e-4  # of a score, against PyTorch
OPSET = 17
LONGEST_CHECK_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What the check of an exported file found.

    Attributes:
        path: The file.
        size_bytes: Its size.
        n_checks: Clips whose scores were compared with those of PyTorch.
        max_difference: Largest absolute difference of a score.
        same_top: Share of the clips whose best label is the same.
    """

    path: Path
    size_bytes: int
    n_checks: int
    max_difference: float
    same_top: float


class OnnxClassifier:
    """An exported file in ONNX Runtime on the CPU, with the tensors and names of `Classifier`.

    Args:
        model: The file, or its bytes.

    Raises:
        DependencyError: onnxruntime is not installed.
        WeightsError: the file cannot be read, or `export_onnx` did not write it.
    """

    def __init__(self, model: str | Path | bytes) -> None:
        runtime = _require("onnxruntime")
        try:
            self._session = runtime.InferenceSession(
                model if isinstance(model, bytes) else str(model),
                providers=["CPUExecutionProvider"],
            )
            self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
            self.labels = tuple(json.loads(self.metadata["labels"]))
            self.sample_rate = int(self.metadata["sample_rate"])
        except Exception as error:  # onnxruntime's exceptions have no common root
            name = "the exported model" if isinstance(model, bytes) else str(model)
            raise WeightsError(
                f"{name} is no classifier that soundsep exported: {error}"
            ) from error

    def predict(self, waveform: Tensor) -> Tensor:
        """Scores from 0 to 1.

        Shape:
            waveform: (batch, time), mono, at `sample_rate`. Returns (batch, n_labels).
        """
        batch = waveform.detach().cpu().float().contiguous().numpy()
        fixed = self._session.get_inputs()[0].shape[0] == 1
        parts = [batch[i : i + 1] for i in range(len(batch))] if fixed else [batch]
        scores = [self._session.run(None, {"waveform": part})[0] for part in parts]
        return torch.cat([torch.from_numpy(part) for part in scores])


def export_onnx(
    classifier: Classifier, path: str | Path, *, name: str | None = None, int8: bool = False
) -> ExportReport:
    """Write a classifier as one ONNX graph, from the waveform to the scores.

    The graph takes ``waveform`` (batch, time), any batch and length, and gives ``probabilities``
    (batch, n_labels); what else a program needs is in the file's metadata. Before the file is
    written, its scores are compared with those of PyTorch on synthetic clips.

    Args:
        classifier: The model; it stays as it is.
        path: The file. One that exists is replaced, but not if the check fails.
        name: The model's name for the metadata; by default that of its network.
        int8: Quantise the network's weights to 8 bits, and its activations while it runs. The graph
            then takes one clip at a time, because the range of the activations is that of the whole
            batch; and its scores differ from PyTorch's, by how much stands in the report.

    Raises:
        DependencyError: onnx or onnxruntime is not installed.
        WeightsError: the scores differ by more than `TOLERANCE`, or the file cannot be written.
    """
    onnx = _require("onnx")
    _require("onnxruntime")
    source = copy.deepcopy(classifier).cpu().float().eval()
    data = _traced(source, dynamic_batch=not int8)
    if int8:
        data = _quantised(data)
    model = onnx.load_model_from_string(data)
    onnx.helper.set_model_props(model, _metadata(source, name or source.config.network, int8=int8))
    data = model.SerializeToString()
    target = Path(path)
    report = _check(source, data, target)
    if not int8 and not report.max_difference <= TOLERANCE:  # NaN is none, either
        raise WeightsError(
            f"the exported graph does not give PyTorch's scores: expected a difference of at most "
            f"{TOLERANCE:g}, found {report.max_difference:.2g} on {report.n_checks} synthetic "
            f"clips; {target} was not written"
        )
    _write(target, data)
    return report


class _RealSpectrogram(nn.Module):
    """The spectrogram of a `torchaudio.transforms.Spectrogram`, as a convolution.

    ONNX has no complex numbers, and torch's exporters took its Fourier transform only lately.
    """

    def __init__(self, spectrogram: Any) -> None:
        super().__init__()
        self.hop_length: int = spectrogram.hop_length
        self.pad_mode: str = spectrogram.pad_mode
        self.power: float = spectrogram.power
        n_fft: int = spectrogram.n_fft
        window = spectrogram.window.double()
        first = (n_fft - len(window)) // 2  # torch.stft centres a shorter window in the frame
        # center=True: half a frame before and behind, less what the window would set to zero
        self.before = n_fft // 2
        self.skipped = first
        self.unused = n_fft - first - len(window)
        time = first + torch.arange(len(window))
        steps = torch.outer(torch.arange(n_fft // 2 + 1), time) % n_fft  # whole turns lose digits
        angle = steps.double() * (2 * math.pi / n_fft)
        kernel = torch.cat((angle.cos() * window, angle.sin() * window)).float()
        self.register_buffer("kernel", kernel.unsqueeze(1))
        self.kernel: Tensor

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, time) to (batch, n_fft // 2 + 1, frames)."""
        ends = (self.before, self.before)
        padded = nn.functional.pad(waveform.unsqueeze(1), ends, mode=self.pad_mode)
        used = padded[..., self.skipped : padded.shape[-1] - self.unused]
        parts = nn.functional.conv1d(used, self.kernel, stride=self.hop_length)
        real, imaginary = parts.chunk(2, dim=1)
        power = real.square() + imaginary.square()
        return power if self.power == 2.0 else power.sqrt()


class _Scores(nn.Module):
    """`Classifier.predict` as a forward pass that can be traced."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier)
        for module in list(self.classifier.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, torchaudio().transforms.Spectrogram):
                    setattr(module, name, _RealSpectrogram(child))

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, time) to (batch, n_labels)."""
        return self.classifier.predict(waveform)


def _traced(classifier: Classifier, *, dynamic_batch: bool) -> bytes:
    """The serialised graph, by the exporter that every supported torch has."""
    axes = {"waveform": {1: "time"}, "probabilities": {}}
    if dynamic_batch:
        axes = {"waveform": {0: "batch", 1: "time"}, "probabilities": {0: "batch"}}
    with tempfile.TemporaryDirectory() as folder, _expected_warnings(), torch.no_grad():
        file = Path(folder, "model.onnx")
        torch.onnx.export(
            _Scores(classifier).eval(),
            (torch.zeros(2 if dynamic_batch else 1, _check_samples(classifier)),),
            file,
            # dynamo=True cannot trace the frontends for any length with torch 2.6, and for some of
            # them it takes minutes with 2.11.
            dynamo=False,
            opset_version=OPSET,
            input_names=["waveform"],
            output_names=["probabilities"],
            dynamic_axes=axes,
        )
        return file.read_bytes()


@contextmanager
def _expected_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # torch 2.9 and later, of dynamo=False and of what it calls itself.
        for message in (
            "You are using the legacy TorchScript-based ONNX export",
            "The feature will be removed. Please remove usage of this function",
        ):
            warnings.filterwarnings("ignore", message, DeprecationWarning)
        # The frontends' check that a waveform is long enough; the graph does without.
        warnings.filterwarnings(
            "ignore",
            "Converting a tensor to a Python boolean",
            torch.jit.TracerWarning,  # type: ignore[attr-defined]  # torch does not declare it
        )
        # Of the widths of padding, which are computed as the graph runs instead: nothing is lost.
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1", UserWarning)
        yield


def _quantised(data: bytes) -> bytes:
    """The graph with 8-bit weights in its network; the spectrogram stays as exact as it was."""
    quantization = _require("onnxruntime.quantization")
    shape_inference = _require("onnxruntime.quantization.shape_inference")
    onnx = _require("onnx")
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder, f"{step}.onnx") for step in "abc")
        source.write_bytes(data)
        shape_inference.quant_pre_process(source, prepared, skip_symbolic_shape=True)
        nodes = onnx.load_model(prepared).graph.node
        quantization.quantize_dynamic(
            prepared,
            target,
            nodes_to_quantize=[node.name for node in nodes if "/network/" in node.name],
            # ONNX Runtime's convolution of whole numbers is five times slower on the CPU with
            # signed weights, and older versions have none.
            weight_type=quantization.QuantType.QUInt8,
        )
        return target.read_bytes()


def _metadata(classifier: Classifier, name: str, *, int8: bool) -> dict[str, str]:
    config = classifier.config
    return {
        "labels": json.dumps(config.labels, ensure_ascii=False),
        "sample_rate": str(classifier.sample_rate),
        "window_seconds": repr(config.window_seconds),
        "hop_seconds": repr(config.hop_seconds),
        "padding": config.padding,
        "min_samples": str(classifier.frontend.min_samples),
        "activation": config.activation,
        "model": name,
        "weights": "int8" if int8 else "float32",
        "soundsep_version": __version__,
    }


def _check(classifier: Classifier, data: bytes, path: Path) -> ExportReport:
    exported = OnnxClassifier(data)
    differences, agreements = [], []
    with torch.inference_mode():
        for clips in _check_clips(classifier):
            expected, found = classifier.predict(clips), exported.predict(clips)
            differences.append((expected - found).abs().max())
            agreements.append(expected.argmax(dim=1) == found.argmax(dim=1))
    same = torch.cat(agreements)
    return ExportReport(
        path=path,
        size_bytes=len(data),
        n_checks=len(same),
        max_difference=float(torch.stack(differences).max()),  # NaN stays NaN
        same_top=float(same.float().mean()),
    )


def _check_samples(classifier: Classifier) -> int:
    """One window, unless that is very long."""
    seconds = min(classifier.config.window_seconds, LONGEST_CHECK_SECONDS)
    return max(classifier.frontend.min_samples, round(seconds * classifier.sample_rate))


def _check_clips(classifier: Classifier) -> Iterator[Tensor]:
    """Batches (batch, time) of several lengths and sizes, loud clips beside quiet ones."""
    window = _check_samples(classifier)
    shortest = max(classifier.frontend.min_samples, classifier.config.frontend.win_length)
    generator = torch.Generator().manual_seed(0)
    for n_samples in (window, shortest, window // 2 + 1, window + window // 3):
        length = max(shortest, n_samples)
        turns = torch.arange(length, dtype=torch.float64) / classifier.sample_rate
        noise = torch.randn(length, generator=generator)
        signals = (
            0.1 * noise,
            # Behind each tone a trace of noise, as in any recording: in digital silence the level
            # is that of rounding errors, which no two Fourier transforms share.
            0.5 * (2 * math.pi * 440 * turns).sin().float() + 1e-4 * noise,
            (2 * math.pi * (200 + 300 * turns) * turns).sin().float() + 1e-4 * noise,
            1e-4 * noise,
            noise * (torch.rand(length, generator=generator) > 0.999),
            torch.zeros(length),
        )
        yield torch.stack(signals)
        yield signals[3].unsqueeze(0)


def _write(path: Path, data: bytes) -> None:
    """All of it or nothing."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _require(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"ONNX export needs {module.partition('.')[0]}, which cannot be imported: {error}; "
            'install it with: pip install "soundsep[onnx]"'
        ) from error
