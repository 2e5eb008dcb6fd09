#!/usr/bin/env python3
"""Measure exported files, whole and with 8-bit weights: accuracy, size and speed.

    python tools/measure_onnx.py ROOT     ROOT is a folder of ESC-50
    python tools/measure_onnx.py --check  only see that the page agrees with the results file

The results file is docs/onnx.json. The page docs/export.md holds its table between the lines
<!-- onnx:begin --> and <!-- onnx:end -->.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from results_file import REPOSITORY, ResultsFile, filled

PAGE = REPOSITORY / "docs" / "export.md"

MODELS = ("esc50-mn04", "scenes50-mn04-fold5", "esc50-resnet34")  # none learnt from the test fold
KINDS = ("PyTorch", "ONNX, float32", "ONNX, int8")
TEST_FOLD = 5
N_TURNS, N_RUNS = 15, 10


def measure(root: Path) -> dict[str, Any]:
    """Every model in PyTorch and in both kinds of file, on all clips of the test fold."""
    from soundsep.datasets import ESC50

    clips = ESC50(root, folds=[TEST_FOLD]).clips
    rows = [row for name in MODELS for row in measure_model(name, clips)]
    return {"data": "ESC-50 at 16 kHz", "test_fold": TEST_FOLD, "n_clips": len(clips), "rows": rows}


def measure_model(name: str, clips: Any) -> list[dict[str, Any]]:
    """The rows of one model. The clips go through `Pipeline` whatever it is that scores them."""
    import torch

    from soundsep import Classifier, Pipeline
    from soundsep.evaluation import evaluate
    from soundsep.export import OnnxClassifier, export_onnx

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, "float32.onnx"), Path(folder, "int8.onnx")]
        for file in files:
            export_onnx(Classifier.from_pretrained(name), file, int8=file.stem == "int8")
        exported = [Pipeline(OnnxClassifier(file, n_threads=1)) for file in files]
        pipes: list[Pipeline[Any]] = [Pipeline.from_pretrained(name), *exported]
        milliseconds = time_in_turns([pipe.classifier for pipe in pipes])
        evaluations = [evaluate(pipe, clips) for pipe in pipes]
        sizes = [None, *(file.stat().st_size for file in files)]
    return [
        {
            "model": name,
            "kind": kind,
            "accuracy": round(evaluation.metrics.accuracy, 6),
            "same_answer": round(float((evaluation.answers == evaluations[0].answers).mean()), 6),
            "calibration_error": round(evaluation.calibration_error, 6),
            "size_bytes": size,
            "milliseconds": round(duration, 2),
        }
        for kind, evaluation, size, duration in zip(
            KINDS, evaluations, sizes, milliseconds, strict=True
        )
    ]


def time_in_turns(classifiers: list[Any]) -> list[float]:
    """Median milliseconds that each takes for one window."""
    import torch

    window = 0.1 * torch.randn(1, classifiers[0].config.window_samples)
    seconds: list[list[float]] = [[] for _ in classifiers]
    with torch.inference_mode():
        for _ in range(N_TURNS):
            for classifier, durations in zip(classifiers, seconds, strict=True):
                classifier.predict(window)
                began = time.perf_counter()
                for _ in range(N_RUNS):
                    classifier.predict(window)
                durations.append((time.perf_counter() - began) / N_RUNS)
    return [1e3 * statistics.median(durations) for durations in seconds]


def table(results: dict[str, Any]) -> str:
    """The rows, in Markdown."""
    lines = [
        "| model | accuracy | runs in | file | same answer as PyTorch | calibration error | "
        "one window |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        size = f"{row['size_bytes'] / 1e6:.1f} MB" if row["size_bytes"] else ""
        lines.append(
            f"| `{row['model']}` | {row['accuracy']:.2%} | {row['kind']} | {size} | "
            f"{row['same_answer']:.2%} | {row['calibration_error']:.3f} | "
            f"{row['milliseconds']:.1f} ms |"
        )
    return (
        "\n".join(lines) + f"\n\n{results['data']}, the {results['n_clips']} clips of fold "
        f"{results['test_fold']}, which none of them was trained on. A window is 5 s; the time "
        "is that of features and network on one CPU thread, with the kinds measured in turns.\n"
    )


RESULTS = ResultsFile(
    REPOSITORY / "docs" / "onnx.json",
    lambda results: {PAGE: filled(PAGE, "onnx", table(results))},
)


def main() -> None:
    """Measure and write, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument("root", type=Path, metavar="ROOT")
    results = measure(parser.parse_args().root)
    RESULTS.write(results)
    print(table(results))


if __name__ == "__main__":
    main()
