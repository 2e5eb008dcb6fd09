"""A classifier as a serialised ONNX graph, whole or with 8-bit weights."""

from __future__ import annotations

import copy
import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundsep.classifier import Classifier
from soundsep.export.runtime import require
from soundsep.frontends.spectrogram import BandSpectrogram

__all__ = ["RealSpectrogram", "quantised", "serialised", "traced"]

OPSET = 17


class RealSpectrogram(nn.Module):
    """A `BandSpectrogram` as a convolution with sines and cosines.

    ONNX has no complex numbers, and only recent torch can export its Fourier transform.

    Args:
        spectrogram: Module to replace.

    Shape:
        waveform: (batch, time). Returns (batch, n_bands, frames).
    """

    def __init__(self, spectrogram: BandSpectrogram) -> None:
        super().__init__()
        self.hop_length, self.pad_mode = spectrogram.hop_length, spectrogram.pad_mode
        self.power = spectrogram.power
        n_fft = spectrogram.n_fft
        self.before = n_fft // 2
        # What the window sets to zero is left out of the kernel.
        time = spectrogram.window.nonzero().flatten()
        time = torch.arange(int(time[0]), int(time[-1]) + 1)
        window = spectrogram.window[time].double()
        self.skipped = int(time[0])
        self.unused = n_fft - 1 - int(time[-1])
        steps = torch.outer(torch.arange(n_fft // 2 + 1), time) % n_fft  # whole turns lose digits
        angle = steps.double() * (2 * math.pi / n_fft)
        kernel = torch.cat((angle.cos() * window, angle.sin() * window)).float()
        self.register_buffer("kernel", kernel.unsqueeze(1))
        self.kernel: Tensor
        self.register_buffer("filters", spectrogram.filters.T.contiguous())
        self.filters: Tensor

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the magnitudes, or their squares if the power is 2, in bands."""
        ends = (self.before, self.before)
        padded = nn.functional.pad(waveform.unsqueeze(1), ends, mode=self.pad_mode)
        used = padded[..., self.skipped : padded.shape[-1] - self.unused]
        parts = nn.functional.conv1d(used, self.kernel, stride=self.hop_length)
        real, imaginary = parts.chunk(2, dim=1)
        power = real.square() + imaginary.square()
        return self.filters @ (power if self.power == 2.0 else power.sqrt())


class _Scores(nn.Module):
    """`Classifier.predict` as a forward pass that can be traced.

    Args:
        classifier: Classifier to export; it is copied.
        frames: Return the scores of frames as a second output.
    """

    def __init__(self, classifier: Classifier, *, frames: bool) -> None:
        super().__init__()
        self.frames = frames
        self.classifier = copy.deepcopy(classifier)
        for module in list(self.classifier.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, BandSpectrogram):
                    setattr(module, name, RealSpectrogram(child))

    def forward(self, waveform: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(batch, time) to (batch, n_labels), and to (batch, n_frames, n_labels)."""
        if not self.frames:
            return self.classifier.predict(waveform)
        return self.classifier.predict_with_frames(waveform)


def traced(
    classifier: Classifier, *, n_samples: int, dynamic_batch: bool, frames: bool = False
) -> bytes:
    """Trace a classifier with the exporter that every supported torch has.

    Args:
        classifier: Classifier on the CPU, in evaluation mode; it is not changed.
        n_samples: Length of the traced example; the graph also takes any other.
        dynamic_batch: Take any number of clips at a time, not only one.
        frames: Add the scores of frames as a second output.

    Returns:
        The serialised graph.
    """
    axes = {"waveform": {1: "time"}, "probabilities": dict[int, str]()}
    if frames:
        axes["frame_probabilities"] = {1: "frames"}
    if dynamic_batch:
        axes = {name: {0: "batch"} | others for name, others in axes.items()}
    example = torch.zeros(2 if dynamic_batch else 1, n_samples, dtype=torch.float32)
    return serialised(_Scores(classifier, frames=frames), example, axes)


def serialised(module: nn.Module, example: Tensor, axes: Mapping[str, dict[int, str]]) -> bytes:
    """Trace any module with one input.

    Args:
        module: Module to trace; it is put into evaluation mode.
        example: Input to trace with, (batch, ...).
        axes: Axes of variable length, for the input and then for each output, by their names.

    Returns:
        The serialised graph.
    """
    source, *outputs = axes
    with tempfile.TemporaryDirectory() as folder, _expected_warnings(), torch.no_grad():
        file = Path(folder, "model.onnx")
        torch.onnx.export(
            module.eval(),
            (example,),
            file,
            # dynamo=True cannot trace the frontends for any length with torch 2.6, and for some of
            # them it takes minutes with 2.11.
            dynamo=False,
            opset_version=OPSET,
            input_names=[source],
            output_names=outputs,
            dynamic_axes=dict(axes),
        )
        return file.read_bytes()


@contextmanager
def _expected_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # torch 2.9 and later warn of dynamo=False, and of functions that it calls itself.
        for message in (
            "You are using the legacy TorchScript-based ONNX export",
            "The feature will be removed. Please remove usage of this function",
        ):
            warnings.filterwarnings("ignore", message, DeprecationWarning)
        # The frontends check that a waveform is long enough; the graph does not.
        warnings.filterwarnings(
            "ignore",
            "Converting a tensor to a Python boolean",
            torch.jit.TracerWarning,  # type: ignore[attr-defined]  # torch does not declare it
        )
        # The temperatures of the labels are constants.
        warnings.filterwarnings(
            "ignore",
            "torch.tensor results are registered as constants",
            torch.jit.TracerWarning,  # type: ignore[attr-defined]  # as above
        )
        # Of an LSTM, whose first state is zeros for as many clips as there are; it is checked.
        warnings.filterwarnings(
            "ignore", "Exporting a model to ONNX with a batch_size", UserWarning
        )
        # The widths of padding are computed while the graph runs instead: nothing is lost.
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1", UserWarning)
        yield


def quantised(data: bytes) -> bytes:
    """Quantise the network of a graph to 8 bits; its spectrogram stays exact.

    Args:
        data: Serialised graph.

    Returns:
        The serialised quantised graph.

    Raises:
        DependencyError: onnx or onnxruntime is not installed.
    """
    quantization = require("onnxruntime.quantization")
    shape_inference = require("onnxruntime.quantization.shape_inference")
    onnx = require("onnx")
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder, f"{step}.onnx") for step in "abc")
        source.write_bytes(data)
        shape_inference.quant_pre_process(source, prepared, skip_symbolic_shape=True)
        nodes = onnx.load_model(prepared).graph.node
        quantization.quantize_dynamic(
            prepared,
            target,
            nodes_to_quantize=[n.name for n in nodes if "/network/" in n.name and not _grouped(n)],
            # ONNX Runtime's integer convolution is five times slower on the CPU with signed
            # weights, and older versions lack it.
            weight_type=quantization.QuantType.QUInt8,
        )
        return target.read_bytes()


def _grouped(node: Any) -> bool:
    """Whether a node is a convolution of each channel by itself.

    The kernels of such channels differ in magnitude, and ONNX Runtime rounds all by one step: in a
    MobileNet that costs much accuracy, and these weights are few.
    """
    return any(a.name == "group" and a.i > 1 for a in node.attribute)
