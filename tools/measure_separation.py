#!/usr/bin/env python3
"""Measure the shipped separator, and write its figures wherever a person reads them.

    python tools/measure_separation.py ESC50 [KNOWN]   the folder of ESC-50, and one of recordings
        from elsewhere that are called by its labels, such as rain.ogg
    python tools/measure_separation.py --check   only see that the pages agree with the results file

Without KNOWN the figures of recordings from elsewhere stay as they are. The results file is
docs/separation.json; `soundsep models` reads its summary from
src/soundsep/published_results.json.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from results_file import REPOSITORY, ResultsFile, filled
from soundsep import Classifier, Pipeline, Separation, Separator, load_audio
from soundsep.audio import resample
from soundsep.datasets import ESC50, MixtureConfig, Mixtures, load_examples
from soundsep.evaluation import evaluate
from soundsep.evaluation.mixtures import measure_naming, measure_separation
from update_results import RESULTS as PUBLISHED

PAGE = REPOSITORY / "docs" / "separation.md"
NAME = "esc50-mix2"
CARD = REPOSITORY / "weights" / NAME / "README.md"
CLASSIFIERS = ("esc50-mn04-fold5", "scenes50-mn04-fold5")
FOLD, N_MIXTURES, SEED = 5, 500, 0
N_ELSEWHERE = 200
N_TIMINGS = 30
SUDORMRF = MixtureConfig(sample_rate=8_000, seconds=4.0)  # arXiv 2007.06833
SEPARATION = (
    "si_sdr_improvement_mean_db",
    "si_sdr_improvement_median_db",
    "share_of_mixtures_made_worse",
)
WAYS = {"as it is": "no separation", "separated": f"`{NAME}`", "told": "true sources"}


class Remembering(Separator):
    """Separates every recording once, however many classifiers hear its sources."""

    def __init__(self, separator: Separator) -> None:
        super().__init__(separator.network, separator.config)
        self._known: dict[bytes, Separation] = {}

    def __call__(self, audio: Any, sample_rate: int | None = None, **options: Any) -> Separation:
        """The sources, now or from before."""
        if not isinstance(audio, Tensor):
            return super().__call__(audio, sample_rate, **options)
        key = hashlib.sha256(audio.contiguous().numpy().tobytes() + str(sample_rate).encode())
        if key.digest() not in self._known:
            self._known[key.digest()] = super().__call__(audio, sample_rate, **options)
        return self._known[key.digest()]


class Resampled(nn.Module):
    """A network on mixtures at another rate than its own."""

    def __init__(self, network: nn.Module, own_rate: int, rate: int) -> None:
        super().__init__()
        self.network, self.own_rate, self.rate = network, own_rate, rate

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixtures into sources."""
        sources = self.network(resample(mixture, self.rate, self.own_rate))
        return resample(sources, self.own_rate, self.rate)[..., : mixture.shape[-1]]


def at_rate(separator: Separator, rate: int) -> Separator:
    """A separator for mixtures at another rate; what lies above half of it is lost, as there."""
    network = Resampled(separator.network, separator.sample_rate, rate)
    return Separator(network, separator.config.replace(network="", sample_rate=rate))


def seconds_per_second(separator: Separator, mixtures: Mixtures) -> float:
    """Best of some, on one thread: other work of the machine only makes it slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    best = float("inf")
    for index in range(min(N_TIMINGS, len(mixtures))):
        waveform = mixtures[index].waveform
        began = time.process_time()
        separator(waveform, mixtures.config.sample_rate, progress=False)
        best = min(best, time.process_time() - began)
    torch.set_num_threads(threads)
    return round(best / mixtures.config.seconds, 4)


def named(
    classifier: Classifier, mixtures: Mixtures, separator: Separator
) -> dict[str, dict[str, Any]]:
    """What a classifier names alone, behind the separator, and with the true sources."""
    ways: dict[str, dict[str, Any]] = {
        "as it is": {},
        "separated": {"separator": separator},
        "told": {"use_true_sources": True},
    }
    return {
        way: measure_naming(classifier, mixtures, **options).to_dict()
        for way, options in ways.items()
    }


def elsewhere(
    folder: Path, separator: Separator, classifiers: dict[str, Classifier]
) -> dict[str, Any]:
    """Mixtures of recordings that are in no data set, called by their labels."""
    labels = ESC50.labels
    rate = separator.sample_rate
    examples = [
        (load_audio(path, target_rate=rate)[0].flatten(), labels.index(path.stem))
        for path in sorted(folder.iterdir())
    ]
    mixtures = Mixtures(examples, n_mixtures=N_ELSEWHERE, seed=SEED)
    separation = measure_separation(separator, mixtures).to_dict(labels)
    return {
        "n_recordings": len(examples),
        **few(separation),
        "naming": {name: named(one, mixtures, separator) for name, one in classifiers.items()},
    }


def measure(root: Path, known: Path | None = None) -> dict[str, Any]:
    """Everything on fold 5, which neither separator nor classifiers have learnt from."""
    dataset = ESC50(root, folds=[FOLD])
    examples = load_examples(dataset.clips, sample_rate=16_000)
    mixtures = Mixtures(examples, n_mixtures=N_MIXTURES, seed=SEED)
    plain = Separator.from_pretrained(REPOSITORY / "weights" / NAME)
    separator = Remembering(plain)
    separation = measure_separation(separator, mixtures).to_dict(dataset.labels)
    rate = SUDORMRF.sample_rate
    at_8k = Mixtures(
        [(resample(waveform, 16_000, rate), target) for waveform, target in examples],
        n_mixtures=N_MIXTURES,
        seed=SEED,
        config=SUDORMRF,
    )
    classifiers = {
        name: Classifier.from_pretrained(REPOSITORY / "weights" / name).eval()
        for name in CLASSIFIERS
    }
    return {
        "data": "ESC-50 at 16 kHz",
        "protocol": f"{N_MIXTURES} mixtures of two clips of fold {FOLD}, seed {SEED}, levels "
        "within 5 dB; learnt from folds 1 to 4",
        "checkpoint": "averaged weights (EMA) after the last step",
        "n_parameters": sum(p.numel() for p in plain.network.parameters()),
        **separation,
        "seconds_per_second": seconds_per_second(plain, mixtures),
        "at_8_khz": few(measure_separation(at_rate(plain, rate), at_8k).to_dict(dataset.labels)),
        "elsewhere": elsewhere(known, separator, classifiers)
        if known
        else RESULTS.read().get("elsewhere"),
        "naming": {name: named(one, mixtures, separator) for name, one in classifiers.items()},
        "clips": {
            name: {
                way: round(
                    evaluate(Pipeline(one, separator=used), dataset.clips).metrics.accuracy, 6
                )
                for way, used in (("as it is", None), ("separated", separator))
            }
            for name, one in classifiers.items()
        },
    }


def few(separation: dict[str, Any]) -> dict[str, Any]:
    """The figures that are compared with those of other mixtures."""
    return {key: separation[key] for key in ("n_mixtures", *SEPARATION)}


def in_db(r: dict[str, Any], between: str) -> str:
    """Mean, median and the share that separating made worse."""
    mean, median, worse = (r[key] for key in SEPARATION)
    return f"{mean:.2f} dB{between}{median:.2f} dB{between}{worse:.1%}"


def figures(r: dict[str, Any]) -> str:
    """What the card says."""

    def listed(key: str) -> str:
        return ", ".join(f"{name} {value:.1f}" for name, value in r[key])

    at_8k, others = r["at_8_khz"], r["elsewhere"]
    return (
        "| figure | value |\n|---|---|\n"
        f"| data | {r['data']} |\n"
        f"| protocol | {r['protocol']} |\n"
        f"| checkpoint | {r['checkpoint']} |\n"
        f"| SI-SDR improvement, mean | {r['si_sdr_improvement_mean_db']:.2f} dB |\n"
        f"| SI-SDR improvement, median | {r['si_sdr_improvement_median_db']:.2f} dB |\n"
        f"| mixtures made worse | {r['share_of_mixtures_made_worse']:.1%} |\n"
        f"| at 8 kHz, 4 s: mean, median, made worse | {in_db(at_8k, ', ')} |\n"
        f"| recordings from elsewhere: the same | {in_db(others, ', ')} |\n"
        f"| best classes, dB | {listed('best_classes')} |\n"
        f"| worst classes, dB | {listed('worst_classes')} |\n"
        f"| best pairs, dB | {listed('best_pairs')} |\n"
        f"| worst pairs, dB | {listed('worst_pairs')} |\n"
        f"| time per second of sound, one thread | {r['seconds_per_second']:.3f} s |\n"
        f"| parameters | {r['n_parameters'] / 1e6:.1f} M |\n\n"
        f"Measured by `python tools/measure_separation.py ESC50`, and without the naming by "
        f"`soundsep evaluate-mixtures --separator {NAME} --data ESC50`.\n"
    )


def decibels(r: dict[str, Any]) -> str:
    """What separating gains, in Markdown."""
    others = r["elsewhere"]
    rows = {
        f"{r['n_mixtures']} of clips of fold {FOLD}, 16 kHz, 5 s": r,
        f"{N_MIXTURES} of the same clips, 8 kHz, 4 s": r["at_8_khz"],
        f"{others['n_mixtures']} of {others['n_recordings']} recordings from elsewhere, 16 kHz, "
        "5 s": others,
    }
    head = "| mixtures | mean | median | made worse |\n|---|---|---|---|\n"
    time = f"`{NAME}` takes {r['seconds_per_second']:.3f} s for a second of sound, on one thread.\n"
    return (
        head
        + "".join(f"| {name} | {in_db(row, ' | ')} |\n" for name, row in rows.items())
        + f"\n{time}"
    )


def table(r: dict[str, Any]) -> str:
    """Whether separating helps, in Markdown."""
    rows = [
        "| mixtures of | classifier | heard | both in top 2 | one in top 1 | mAP | single clips |",
        "|---|---|---|---|---|---|---|",
    ]
    for where, part in ((f"fold {FOLD}", r), ("recordings from elsewhere", r["elsewhere"])):
        for name, ways in part["naming"].items():
            for way, f in ways.items():
                clips = r["clips"][name].get(way) if part is r else None
                rows.append(
                    f"| {where} | `{name}` | {WAYS[way]} | {f['all_found']:.1%} | "
                    f"{f['one_found']:.1%} | {f['mean_average_precision']:.3f} | "
                    f"{'' if clips is None else f'{clips:.2%}'} |"
                )
    return "\n".join(rows) + "\n"


def pages(results: dict[str, Any]) -> dict[Path, str]:
    """Every page with what it should hold."""
    page = filled(PAGE, "gains", decibels(results))
    return {
        PAGE: filled(PAGE, "separation", table(results), within=page),
        CARD: filled(CARD, "results", figures(results)),
    }


RESULTS = ResultsFile(REPOSITORY / "docs" / "separation.json", pages)


def main() -> None:
    """Measure and write, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument("esc50", type=Path)
    parser.add_argument("known", type=Path, nargs="?")
    options = parser.parse_args()
    results = measure(options.esc50, options.known)
    RESULTS.write(results)
    summary = {k: v for k, v in results.items() if k not in ("elsewhere", "naming", "clips")}
    PUBLISHED.write(PUBLISHED.read() | {NAME: summary})


if __name__ == "__main__":
    main()
