#!/usr/bin/env python3
"""Measure to which level softer clips are best raised for `esc50-mn04`, each model on its own fold.

    python tools/choose_level.py ROOT     ROOT is a folder of ESC-50
    python tools/choose_level.py --check  only see that the page agrees with the results file

The results file is docs/levels.json. The page docs/how_it_works.md holds its tables between such
lines as <!-- levels:begin --> and <!-- levels:end -->. Folds 1 to 4 choose: the level at which the
worse of two accuracies, as recorded and 40 dB softer, is best. It belongs into the models'
config.json, as ``clip_level_db``. The second table, "offsets", chooses nothing: it says what
removing a constant offset is worth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

from results_file import REPOSITORY, ResultsFile, filled

PAGE = REPOSITORY / "docs" / "how_it_works.md"
MODEL = "esc50-mn04"
FOLDS = (1, 2, 3, 4, 5)
CHOOSING = (1, 2, 3, 4)
LEVELS_DB = (None, -45.0, -42.5, -40.0, -37.5, -35.0, -32.5)
SOFTER_DB = 40.0
OFFSET = 0.5
OFFSET_FOLD = 5
OFFSET_MODELS = ("scenes50-mn04", "esc50-mn04")  # of each the one that has not heard the fold
OFFSET_CASES = {  # the gain of the sound, and the offset that is added to it
    "no offset": (1.0, 0.0),
    f"offset of {OFFSET}": (1.0, OFFSET),
    f"30 dB softer, offset of {OFFSET}": (10**-1.5, OFFSET),
}


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


def measure_offsets(root: Path) -> dict[str, dict[str, list[float]]]:
    """Accuracies with a constant offset, by model and case: as it is removed, and if it is left."""
    from soundsep import Classifier, Pipeline
    from soundsep.datasets import ESC50, load_examples

    accuracies: dict[str, dict[str, list[float]]] = {}
    clips = ESC50(root, folds=[OFFSET_FOLD]).clips
    for name in OFFSET_MODELS:
        classifier = Classifier.from_pretrained(f"{name}-fold{OFFSET_FOLD}")
        rate = classifier.sample_rate
        examples = load_examples(clips, sample_rate=rate, progress=False)
        pipe = Pipeline(classifier)

        def accuracy(gain: float, offset: float) -> float:
            played = [gain * waveform + offset for waveform, _ in examples]  # noqa: B023
            answers = pipe(played, sample_rate=rate, top_k=1, progress=False)  # noqa: B023
            right = [a.top(1)[0].label == c.label for a, c in zip(answers, clips, strict=True)]
            return round(sum(right) / len(right), 6)

        removed = {case: accuracy(*how) for case, how in OFFSET_CASES.items()}
        with mock.patch("soundsep.classifier.classifier.without_offset", lambda wave: wave):
            left = {case: accuracy(*how) for case, how in OFFSET_CASES.items()}
        accuracies[name] = {case: [removed[case], left[case]] for case in OFFSET_CASES}
    return accuracies


def mean(row: dict[str, Any], name: str, folds: tuple[int, ...] = FOLDS) -> float:
    """Mean accuracy over folds."""
    return float(sum(row[name][FOLDS.index(fold)] for fold in folds)) / len(folds)


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


def offset_table(offsets: dict[str, dict[str, list[float]]]) -> str:
    """What removing an offset is worth, in Markdown."""
    lines = ["| model | " + " | ".join(OFFSET_CASES) + " |", "|---|" + "---|" * len(OFFSET_CASES)]
    lines += [
        f"| `{name}-fold{OFFSET_FOLD}` | "
        + " | ".join(f"{removed:.2%} ({left:.2%})" for removed, left in cases.values())
        + " |"
        for name, cases in offsets.items()
    ]
    return "\n".join(lines) + "\n"


def pages(results: dict[str, Any]) -> dict[Path, str]:
    """The page with what it should hold."""
    text = filled(PAGE, "levels", table(results))
    return {PAGE: filled(PAGE, "offsets", offset_table(results["offsets"]), within=text)}


RESULTS = ResultsFile(REPOSITORY / "docs" / "levels.json", pages)


def main() -> None:
    """Measure and write, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument("root", type=Path, metavar="ROOT")
    root = parser.parse_args().root
    results = measure(root) | {"offsets": measure_offsets(root)}
    RESULTS.write(results)
    print(table(results), f"best: {best(results)}", offset_table(results["offsets"]), sep="\n")


if __name__ == "__main__":
    main()
