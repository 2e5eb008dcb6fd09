#!/usr/bin/env python3
"""Measure the shipped weights, and write their numbers wherever a person reads them.

    python tools/update_results.py ESC50 URBANSOUND8K [NAME...]   the two folders of the data sets
    python tools/update_results.py --check  only see that every page agrees with the results file

The results file is src/soundsep/published_results.json. Pages hold generated text between the lines
<!-- results:begin --> and <!-- results:end -->. Without names all models are measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from choose_unknown import FALSE_ALARMS, N_CASES, best_scores, confident_on_noise, strangers
from cross_validate import cross_validated
from publish import card_facts
from results_file import REPOSITORY, ResultsFile, filled
from soundsep.classifier.checks import reaches

PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs" / "models.md")

WEIGHTS = REPOSITORY / "weights"
FIVE_FOLDS = "esc50-mn04"
N_SHIFTS = 4


def measure(esc50: Path, urbansound8k: Path, *names: str) -> dict[str, dict[str, Any]]:
    """Evaluate shipped models, each on the fold it has not learnt from."""
    from soundsep import Pipeline
    from soundsep.datasets import ESC50
    from soundsep.datasets.urban11 import Urban11
    from soundsep.datasets.urbansound8k import UrbanSound8K
    from soundsep.evaluation import evaluate
    from soundsep.metrics import calibration_floor

    results: dict[str, dict[str, Any]] = {}
    for name, protocol in protocols().items():
        if names and name not in names:
            continue
        folder = WEIGHTS / name
        pipe = Pipeline.from_pretrained(folder)
        if name.startswith("urban11"):
            dataset: Any = Urban11(esc50=esc50, urbansound8k=urbansound8k)
        else:
            dataset = UrbanSound8K(urbansound8k) if "urban" in name else ESC50(esc50)
        clips = dataset.split(protocol["test_fold"])[1]
        evaluation = evaluate(pipe, clips, progress=True)
        figures = evaluation.to_dict()
        del figures["labels"], figures["confusion"], figures["skipped"]
        shifted = evaluate(pipe, clips, progress=True, n_shifts=N_SHIFTS)
        least = pipe.classifier.config.unknown_below or 0.0
        foreign = best_scores(pipe, strangers(name, esc50, urbansound8k, held_out=True))
        results[name] = {
            **protocol,
            **figures,
            "calibration_floor": round(calibration_floor(evaluation.scores), 6),
            "calibration_error_before": round(untempered(pipe, clips), 6),
            "n_shifts": N_SHIFTS,
            "accuracy_with_shifts": round(shifted.metrics.accuracy, 6),
            "unknown_below": least,
            "known_kept": round(float(reaches(evaluation.scores, least).mean()), 6),
            "n_unknown": len(foreign),
            "unknown_named": round(float(reaches(foreign, least).mean()), 6),
            "confident_on_noise": confident_on_noise(pipe),
            "n_parameters": sum(p.numel() for p in pipe.classifier.parameters()),
            "size_bytes": sum(file.stat().st_size for file in folder.glob("model.safetensors")),
        }
        if "urban" in name:  # too few clips in one fold for what a temperature is worth
            results[name]["cross_validated"] = cross_validated(dataset)
            results[name]["elsewhere"] = named_elsewhere(pipe, clips)
        print(name, evaluation, sep="\n")
    return results


def protocols() -> dict[str, dict[str, Any]]:
    """What each model was trained on and may be judged on, as its card says."""
    facts = {folder.name: card_facts(folder) for folder in sorted(WEIGHTS.iterdir())}
    return {
        name: {**told["measured"], "test_fold": told["test_fold"]}
        for name, told in facts.items()
        if "measured" in told
    }


def untempered(pipe: Any, clips: Any) -> float:
    """The calibration error without the temperature that the training folds gave."""
    from soundsep import Classifier, Pipeline
    from soundsep.evaluation import evaluate

    plain = Classifier(pipe.classifier.config.replace(temperature=1.0))
    plain.load_state_dict(pipe.classifier.state_dict())
    return evaluate(Pipeline(plain), clips, progress=True).calibration_error


def named_elsewhere(pipe: Any, clips: Any) -> dict[str, float]:
    """Accuracy on clips that are made softer, or played over noise or in a room."""
    from soundsep.datasets import load_examples
    from world_sounds import RATE, elsewhere

    heard = [waveform for waveform, _ in load_examples(clips, sample_rate=RATE)]
    changed = [elsewhere(waveform, seed=i) for i, waveform in enumerate(heard)]
    accuracies = {}
    for kind in changed[0]:
        waveforms = [waveform[kind] for waveform in changed]
        answers = pipe(waveforms, sample_rate=RATE, top_k=1)
        right = [a.top(1)[0].label == c.label for a, c in zip(answers, clips, strict=True)]
        accuracies[kind] = round(sum(right) / len(right), 6)
    return accuracies


def five_fold_mean(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The mean of every figure over the five models, each on the fold it has never heard."""
    folds = [results[f"{FIVE_FOLDS}-fold{fold}"] for fold in range(1, 6)]
    means = {
        key: round(sum(fold[key] for fold in folds) / 5, 6)
        for key, value in folds[0].items()
        if isinstance(value, float)
    }
    return {
        **folds[-1],
        **means,
        "n_clips": sum(fold["n_clips"] for fold in folds),
        "protocol": "mean over five folds, each held out of one of five models",
        "fold_accuracies": [fold["accuracy"] for fold in folds],
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """The models side by side, the default first, in Markdown."""
    from soundsep.checkpoints import DEFAULT_MODEL

    rows = [
        f"| model | accuracy | macro F1 | {N_SHIFTS} shifts | parameters | file | measured on |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, r in sorted(results.items(), key=lambda item: item[0] != DEFAULT_MODEL):
        if "-fold" in name or "accuracy" not in r:  # their mean stands for the five
            continue
        measured = f"{r['data']}, {r['protocol']} ({r['n_clips']} clips)"
        rows.append(
            f"| `{name}` | {r['accuracy']:.2%} | {r['macro_f1']:.2%} | "
            f"{r['accuracy_with_shifts']:.2%} | {r['n_parameters'] / 1e6:.1f} M | "
            f"{r['size_bytes'] / 1e6:.0f} MB | {measured} |"
        )
    return "\n".join(rows) + "\n"


def card(name: str, r: dict[str, Any]) -> str:
    """The figures of one model, in Markdown."""
    both = name.startswith("urban11")
    ending = (
        "; the heads of all folds are refitted by `dev.py results`"
        if "cross_validated" in r
        else ""
    )
    noise = ", ".join(f"{kind} {share:.0%}" for kind, share in r["confident_on_noise"].items())
    arguments = "--data ESC50 --data URBANSOUND8K" if both else "--data ROOT"
    return (
        "| figure | value |\n|---|---|\n"
        f"| data | {r['data']}, {r['n_clips']} clips |\n"
        f"| protocol | {r['protocol']} |\n"
        f"| checkpoint | {r['checkpoint']} |\n"
        f"| accuracy | {r['accuracy']:.2%} |\n"
        f"| macro precision | {r['macro_precision']:.2%} |\n"
        f"| macro recall | {r['macro_recall']:.2%} |\n"
        f"| macro F1 | {r['macro_f1']:.2%} |\n"
        f"| expected calibration error (15 bins) | {r['calibration_error']:.3f}, without the "
        f"temperature {r['calibration_error_before']:.3f} |\n"
        f"| expected for a perfectly calibrated model at this sample size | "
        f"{r['calibration_floor']:.3f} |\n"
        + _cross_validation(r.get("cross_validated"))
        + "".join(f"| accuracy, {k} | {v:.2%} |\n" for k, v in r.get("elsewhere", {}).items())
        + f"| accuracy, mean over {N_SHIFTS} shifts ({N_SHIFTS} times the time) | "
        f"{r['accuracy_with_shifts']:.2%} |\n"
        f"| score below which a sound is called unknown | {r['unknown_below']:.3f} |\n"
        f"| known sounds that are still named | {r['known_kept']:.1%} |\n"
        f"| unknown sounds that are still named (target on other clips: {FALSE_ALARMS:.0%}) | "
        f"{r['unknown_named']:.1%} of {r['n_unknown']} |\n"
        f"| a score above 0.9 for what is no sound, {N_CASES} cases each | {noise} |\n"
        f"| parameters | {r['n_parameters'] / 1e6:.1f} M |\n\n"
        f"Measured by `soundsep evaluate {name} {arguments} --fold {r['test_fold']}`{ending}.\n"
    )


def _cross_validation(c: dict[str, Any] | None) -> str:
    if c is None:
        return ""
    return (
        f"| all {len(c['folds'])} available folds, each held out of a head fitted in the same way "
        f"| {c['n_clips']} clips, accuracy {c['accuracy']:.2%}, macro F1 {c['macro_f1']:.2%} |\n"
        f"| expected calibration error on these clips | {c['calibration_error']:.3f}, without the "
        f"temperature {c['calibration_error_before']:.3f}; expected for a perfectly calibrated "
        f"model {c['calibration_floor']:.3f} |\n"
    )


def pages(results: dict[str, dict[str, Any]]) -> dict[Path, str]:
    """Every page with what it should hold."""
    wanted = {page: table(results) for page in PAGES}
    wanted |= {
        WEIGHTS / name / "README.md": card(name, results[name])
        for name in protocols()
        if name in results
    }
    return {page: filled(page, "results", text) for page, text in wanted.items()}


RESULTS = ResultsFile(REPOSITORY / "src" / "soundsep" / "published_results.json", pages)


def main() -> None:
    """Measure and write, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument("esc50", type=Path)
    parser.add_argument("urbansound8k", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    # What other tools wrote there stays: the separator is measured by tools/measure_separation.py.
    results = RESULTS.read() | measure(options.esc50, options.urbansound8k, *options.names)
    results[FIVE_FOLDS] = five_fold_mean(results)
    RESULTS.write(results)


if __name__ == "__main__":
    main()
