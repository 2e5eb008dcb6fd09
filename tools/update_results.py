#!/usr/bin/env python3
"""Measure the shipped weights, and write their numbers wherever a person reads them.

    python tools/update_results.py ROOT     ROOT is a folder of ESC-50
    python tools/update_results.py --check  only see that every page agrees with the results file

The results file is src/soundsep/published_results.json. Pages hold generated text between the lines
<!-- results:begin --> and <!-- results:end -->.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "src" / "soundsep" / "published_results.json"
PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs" / "models.md")
BEGIN, END = "<!-- results:begin -->\n", "<!-- results:end -->"

# What each model was trained on and may be judged on. Nothing here is measured.
PROTOCOLS = {
    "esc50-resnet34": {
        "data": "ESC-50 at 16 kHz",
        "protocol": "fold 5 held out, trained on folds 1 to 4",
        "checkpoint": "averaged weights (EMA) after the last epoch",
        "test_fold": 5,
    },
}


def measure(root: Path) -> dict[str, dict[str, Any]]:
    """Evaluate every shipped model on the fold it has not learnt from."""
    from soundsep import Pipeline
    from soundsep.datasets import ESC50
    from soundsep.evaluation import evaluate

    results: dict[str, dict[str, Any]] = {}
    for name, protocol in PROTOCOLS.items():
        folder = REPOSITORY / "weights" / name
        pipe = Pipeline.from_pretrained(folder)
        evaluation = evaluate(pipe, ESC50(root, folds=[protocol["test_fold"]]).clips, progress=True)
        figures = evaluation.to_dict()
        del figures["labels"], figures["confusion"]
        results[name] = {
            **protocol,
            **figures,
            "n_parameters": sum(p.numel() for p in pipe.classifier.parameters()),
            "size_bytes": sum(file.stat().st_size for file in folder.glob("model.safetensors")),
        }
        print(name, evaluation, sep="\n")
    return results


def table(results: dict[str, dict[str, Any]]) -> str:
    """The models side by side, in Markdown."""
    rows = [
        "| model | parameters | file | measured on | accuracy | macro F1 |",
        "|---|---|---|---|---|---|",
    ]
    for name, r in results.items():
        measured = f"{r['data']}, {r['protocol']} ({r['n_clips']} clips)"
        rows.append(
            f"| `{name}` | {r['n_parameters'] / 1e6:.1f} M | {r['size_bytes'] / 1e6:.0f} MB | "
            f"{measured} | {r['accuracy']:.2%} | {r['macro_f1']:.2%} |"
        )
    return "\n".join(rows) + "\n"


def card(name: str, r: dict[str, Any]) -> str:
    """The figures of one model, in Markdown."""
    return (
        "| figure | value |\n|---|---|\n"
        f"| data | {r['data']}, {r['n_clips']} clips |\n"
        f"| protocol | {r['protocol']} |\n"
        f"| checkpoint | {r['checkpoint']} |\n"
        f"| accuracy | {r['accuracy']:.2%} |\n"
        f"| macro precision | {r['macro_precision']:.2%} |\n"
        f"| macro recall | {r['macro_recall']:.2%} |\n"
        f"| macro F1 | {r['macro_f1']:.2%} |\n"
        f"| expected calibration error (15 bins) | {r['calibration_error']:.3f} |\n"
        f"| parameters | {r['n_parameters'] / 1e6:.1f} M |\n\n"
        f"Measured by `soundsep evaluate {name} --data ROOT --fold {r['test_fold']}`.\n"
    )


def pages(results: dict[str, dict[str, Any]]) -> dict[Path, str]:
    """Every page with what it should hold."""
    wanted = {page: table(results) for page in PAGES}
    wanted |= {
        REPOSITORY / "weights" / name / "README.md": card(name, r) for name, r in results.items()
    }
    return {page: _insert(page, text) for page, text in wanted.items()}


def _insert(page: Path, text: str) -> str:
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{page} has no lines {BEGIN.strip()} and {END}")
    return before + begin + text + end + after


def stale_pages() -> list[Path]:
    """Pages that do not agree with the results file."""
    wanted = pages(json.loads(RESULTS.read_text(encoding="utf-8")))
    return [page for page, text in wanted.items() if page.read_text(encoding="utf-8") != text]


def main(argument: str) -> None:
    """Measure and write, or check."""
    if argument == "--check":
        if stale := stale_pages():
            sys.exit(f"not what the results file says: {', '.join(map(str, stale))}")
        return
    results = measure(Path(argument))
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    for page, text in pages(results).items():
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
