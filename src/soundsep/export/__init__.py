"""Classifiers as ONNX files: one graph from waveform to scores, compared with PyTorch."""

from __future__ import annotations

from soundsep.export.check import TOLERANCE, ExportReport
from soundsep.export.onnx_file import export_onnx
from soundsep.export.runtime import OnnxClassifier

__all__ = ["TOLERANCE", "ExportReport", "OnnxClassifier", "export_onnx"]
