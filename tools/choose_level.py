#!/usr/bin/env python3
"""Measure to which level softer clips are best raised for `esc50-mn04`, each model on its own fold.

    python tools/choose_level.py ROOT     ROOT is a folder of ESC-50
    python tools/choose_level.py --check  only see that the page agrees with the results file

The results file is docs/levels.json. The page docs/how_it_works.md holds its table between the
lines <!-- levels:begin --> and <!-- levels:end -->. Folds 1 to 4 choose: the level at which the
worse of two accuracies, as recorded and 40 dB softer, is best. It belongs into the models'
config.json, as ``clip_level_db``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results_file import REPOSITORY, ResultsFile, filled

PAGE = REPOSITORY / "docs" / "how_it_works.md"
MODEL = "esc50-mn04"
FOLDS = (1, 2, 3, 4, 5)
CHOOSING = (1, 2, 3, 4)
LEVELS_DB = (None, -45.0, -42.5, -40.0, -37.5, -35.0, -32.5)
SOFTER_DB = 40.0


def measure(root: Path) -> dict[str, Any]:
    """Accuracies of all folds, as recorded and softer, at every level."""
    from tqdm.auto import tqdm

    from soundsep import Classifier, Pipeline
    from soundsep.datasets import ESC50, load_examples

    rows: list[dict[str, Any]] = [
        {"clip_level_db": level, "as_recorded": [], "softer": []} for level in LEVELS_DB
    ]
    for fold in tqdm(FOLDS, desc="folds"):
        classifier = Classifier.from_pretrained(f"{MODEL}-fold{fold}")
        config, rate = classifier.config, classifier.sample_rate
        clips = ESC50(root, folds=[fold]).clips
        examples = load_examples(clips, sample_rate=rate, progress=False)
        for row in rows:
            raising = Classifier(config.replace(clip_level_db=row["clip_level_db"]))
            raising.load_state_dict(classifier.state_dict())
            pipe = Pipeline(raising)
            for name, gain in (("as_recorded", 1.0), ("softer", 10 ** (-SOFTER_DB / 20))):
                played = [gain * waveform for waveform, _ in examples]
                answers = pipe(played, sample_rate=rate, top_k=1, progress=False)
                right = [a.label == c.label for a, c in zip(answers, clips, strict=True)]
                row[name].append(round(sum(right) / len(right), 6))
    return {"data": "ESC-50 at 16 kHz", "folds": FOLDS, "chosen_on": CHOOSING, "rows": rows}


def mean(row: dict[str, Any], name: str, folds: tuple[int, ...] = FOLDS) -> float:
    """Mean accuracy over folds."""
    return sum(row[name][FOLDS.index(fold)] for fold in folds) / len(folds)


def best(results: dict[str, Any]) -> float | None:
    """The level that the choosing folds prefer."""
    rows = results["rows"]
    row = max(rows, key=lambda r: min(mean(r, n, CHOOSING) for n in ("as_recorded", "softer")))
    level: float | None = row["clip_level_db"]
    return level


def table(results: dict[str, Any]) -> str:
    """Levels and accuracies, in Markdown."""
    lines = [
        "| raised to | folds 1 to 4, as recorded | 40 dB softer | all five, as recorded "
        "| 40 dB softer |",
        "|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        level = row["clip_level_db"]
        name = "nothing" if level is None else f"{level:g} dB"
        if level == best(results):
            name = f"**{name}**"
        figures = [
            f"{mean(row, kind, folds):.2%}"
            for folds in (CHOOSING, FOLDS)
            for kind in ("as_recorded", "softer")
        ]
        lines.append(f"| {' | '.join([name, *figures])} |")
    return "\n".join(lines) + "\n"


RESULTS = ResultsFile(
    REPOSITORY / "docs" / "levels.json",
    lambda results: {PAGE: filled(PAGE, "levels", table(results))},
)


def main() -> None:
    """Measure and write, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument("root", type=Path, metavar="ROOT")
    results = measure(parser.parse_args().root)
    RESULTS.write(results)
    print(table(results), f"best: {best(results)}", sep="\n")


if __name__ == "__main__":
    main()
