#!/usr/bin/env python3
"""Measure the shipped separator, and write its figures wherever a person reads them.

    python tools/measure_separation.py ESC50     the folder of ESC-50
    python tools/measure_separation.py --check   only see that the pages agree with the results file

The results file is docs/separation.json; `soundsep models` reads its summary from
src/soundsep/published_results.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results_file import REPOSITORY, ResultsFile, filled
from update_results import RESULTS as PUBLISHED

PAGE = REPOSITORY / "docs" / "separation.md"
NAME = "esc50-mix2"
CARD = REPOSITORY / "weights" / NAME / "README.md"
CLASSIFIERS = ("esc50-resnet34", "esc50-mn04-fold5")
FOLD, N_MIXTURES, SEED = 5, 500, 0
WAYS = {"as it is": "no separation", "separated": f"`{NAME}`", "told": "true sources"}


def measure(root: Path) -> dict[str, Any]:
    """Everything on fold 5, which neither separator nor classifiers have learnt from."""
    from soundsep import Classifier, Pipeline, Separator
    from soundsep.datasets import ESC50, Mixtures, load_examples
    from soundsep.evaluation import evaluate
    from soundsep.evaluation.mixtures import measure_naming, measure_separation

    dataset = ESC50(root, folds=[FOLD])
    examples = load_examples(dataset.clips, sample_rate=16_000)
    mixtures = Mixtures(examples, n_mixtures=N_MIXTURES, seed=SEED)
    separator = Separator.from_pretrained(REPOSITORY / "weights" / NAME)
    separation = measure_separation(separator, mixtures).to_dict(dataset.labels)
    naming: dict[str, Any] = {}
    clips: dict[str, Any] = {}
    for name in CLASSIFIERS:
        classifier = Classifier.from_pretrained(REPOSITORY / "weights" / name).eval()
        ways: dict[str, dict[str, Any]] = {
            "as it is": {},
            "separated": {"separator": separator},
            "told": {"use_true_sources": True},
        }
        naming[name] = {
            way: measure_naming(classifier, mixtures, **options).to_dict()
            for way, options in ways.items()
        }
        clips[name] = {
            way: round(
                evaluate(Pipeline(classifier, separator=used), dataset.clips).metrics.accuracy, 6
            )
            for way, used in (("as it is", None), ("separated", separator))
        }
    return {
        "data": "ESC-50 at 16 kHz",
        "protocol": f"{N_MIXTURES} mixtures of two clips of fold {FOLD}, seed {SEED}, levels "
        "within 5 dB; learnt from folds 1 to 4",
        "checkpoint": "averaged weights (EMA) after the last epoch",
        "n_parameters": sum(p.numel() for p in separator.network.parameters()),
        **separation,
        "naming": naming,
        "clips": clips,
    }


def figures(r: dict[str, Any]) -> str:
    """What the card says."""

    def listed(key: str) -> str:
        return ", ".join(f"{name} {value:.1f}" for name, value in r[key])

    return (
        "| figure | value |\n|---|---|\n"
        f"| data | {r['data']} |\n"
        f"| protocol | {r['protocol']} |\n"
        f"| checkpoint | {r['checkpoint']} |\n"
        f"| SI-SDR improvement, mean | {r['si_sdr_improvement_mean_db']:.2f} dB |\n"
        f"| SI-SDR improvement, median | {r['si_sdr_improvement_median_db']:.2f} dB |\n"
        f"| mixtures made worse | {r['share_of_mixtures_made_worse']:.1%} |\n"
        f"| best classes, dB | {listed('best_classes')} |\n"
        f"| worst classes, dB | {listed('worst_classes')} |\n"
        f"| best pairs, dB | {listed('best_pairs')} |\n"
        f"| worst pairs, dB | {listed('worst_pairs')} |\n"
        f"| time per second of sound, one thread | {r['seconds_per_second']:.3f} s |\n"
        f"| parameters | {r['n_parameters'] / 1e6:.1f} M |\n\n"
        f"Measured by `python tools/measure_separation.py ESC50`, and without the naming by "
        f"`soundsep evaluate-mixtures --separator {NAME} --data ESC50`.\n"
    )


def table(r: dict[str, Any]) -> str:
    """Whether separating helps, in Markdown."""
    rows = [
        "| classifier | heard | both in top 2 | one in top 1 | mAP | single clips |",
        "|---|---|---|---|---|---|",
    ]
    for name, ways in r["naming"].items():
        for way, f in ways.items():
            clips = r["clips"][name].get(way)
            rows.append(
                f"| `{name}` | {WAYS[way]} | {f['all_found']:.1%} | {f['one_found']:.1%} | "
                f"{f['mean_average_precision']:.3f} | {'' if clips is None else f'{clips:.2%}'} |"
            )
    return "\n".join(rows) + "\n"


def pages(results: dict[str, Any]) -> dict[Path, str]:
    """Every page with what it should hold."""
    return {
        PAGE: filled(PAGE, "separation", table(results)),
        CARD: filled(CARD, "results", figures(results)),
    }


RESULTS = ResultsFile(REPOSITORY / "docs" / "separation.json", pages)


def main() -> None:
    """Measure and write, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument("esc50", type=Path)
    results = measure(parser.parse_args().esc50)
    RESULTS.write(results)
    summary = {k: v for k, v in results.items() if k not in ("naming", "clips")}
    PUBLISHED.write(PUBLISHED.read() | {NAME: summary})


if __name__ == "__main__":
    main()
