#!/usr/bin/env python3
"""Measure models of one's own: by the clips a class they learn from, soft, and in mere noise.

    python tools/measure_few_shot.py ROOT [BACKGROUNDS]   a folder of ESC-50, and one of recordings
        that hold none of its sounds
    python tools/measure_few_shot.py --check   only see that the pages agree with the results file

Without BACKGROUNDS the figures of models that were fitted with some stay as they are. The results
file is docs/few_shot.json. Its tables are between such lines as <!-- few-shot:begin --> and
<!-- few-shot:end -->: "few-shot" in docs/own_classes.md, "soft-probe" and "backgrounds" in
docs/backgrounds.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from results_file import REPOSITORY, ResultsFile, filled

PAGE = REPOSITORY / "docs" / "own_classes.md"
NOISE_PAGE = REPOSITORY / "docs" / "backgrounds.md"

BACKBONE = "audioset-mn04"
TEST_FOLD = 5
N_CLIPS = (1, 2, 5, 10, 20)  # a class
N_SEEDS = 10
SOFTER = 0.01  # 40 dB
LEARNT_FOLDS = (1, 2)
FITS: dict[str, dict[str, Any]] = {
    "plain": {},
    '`activation="sigmoid"`': {"activation": "sigmoid"},
}


def measure_counts(root: Path) -> dict[str, Any]:
    """Draw clips of folds 1 to 4, probe, and answer all of fold 5; ten draws of each size."""
    import numpy as np
    import torch
    from tqdm.auto import tqdm

    from soundsep import Classifier
    from soundsep.datasets import ESC50
    from soundsep.training.embedding_cache import embed_files
    from soundsep.training.probe import as_backbone, hearing_soft, linear_probe

    data = ESC50(root)
    pool, test = data.split(TEST_FOLD)
    heard = {clip.origin for clip in test}  # a few recordings are in two folds, as other classes
    pool = tuple(clip for clip in pool if clip.origin not in heard)
    backbone = hearing_soft(as_backbone(Classifier.from_pretrained(BACKBONE)))
    embeddings, _ = embed_files(backbone, [clip.path for clip in data])

    def stack(clips: Any) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [embeddings[clip.path] for clip in clips]
        return torch.stack(rows), torch.tensor([clip.target for clip in clips])

    x_test, wanted = stack(test)
    rows = []
    for n_clips in tqdm(N_CLIPS, desc="probing"):
        accuracies = []
        for seed in range(N_SEEDS):
            rng = np.random.default_rng(seed)
            drawn = []
            for target in range(len(data.labels)):
                of_class = [clip for clip in pool if clip.target == target]
                order = rng.permutation(len(of_class))
                drawn += [of_class[i] for i in order[:n_clips]]
            weight, bias = linear_probe(*stack(drawn), n_classes=len(data.labels))
            answers = (x_test @ weight.T + bias).argmax(dim=1)
            accuracies.append(float((answers == wanted).float().mean()))
        rows.append(
            {
                "clips_per_class": n_clips,
                "accuracy_mean": round(float(np.mean(accuracies)), 4),
                "accuracy_std": round(float(np.std(accuracies, ddof=1)), 4),
            }
        )
    return {
        "backbone": BACKBONE,
        "data": "ESC-50 at 16 kHz",
        "n_classes": len(data.labels),
        "test_fold": TEST_FOLD,
        "n_test_clips": len(test),
        "n_seeds": N_SEEDS,
        "rows": rows,
    }


def measure_soft(root: Path) -> dict[str, Any]:
    """Probes of four folds on the fifth, with soft windows amplified and without; mean of five."""
    import torch

    from soundsep import Classifier
    from soundsep.classifier.scoring import embed_waveforms
    from soundsep.datasets import ESC50, load_examples
    from soundsep.training.probe import as_backbone, hearing_soft, linear_probe

    data = ESC50(root)
    known = as_backbone(Classifier.from_pretrained(BACKBONE))
    plain = Classifier(known.config.replace(clip_level_db=None))  # which would raise soft clips
    plain.load_state_dict(known.state_dict())
    plain.eval()
    examples = load_examples(data.clips, sample_rate=plain.sample_rate)
    targets = torch.tensor([target for _, target in examples])
    folds = torch.tensor([clip.fold for clip in data])
    accuracies = {}
    backbones = {"amplified, as `fit` does": hearing_soft(plain), "left as they are": plain}
    for name, backbone in backbones.items():
        loud, soft = (
            torch.stack([row for _, row in embed_waveforms(backbone, played, batch_size=16)])
            for gain in (1.0, SOFTER)
            for played in [((i, gain * wave) for i, (wave, _) in enumerate(examples))]
        )
        right = {"as_recorded": 0, "softer": 0}
        for fold in data.fold_numbers:
            learnt, held_out = folds != fold, folds == fold
            weight, bias = linear_probe(loud[learnt], targets[learnt], n_classes=len(data.labels))
            for kind, embeddings in (("as_recorded", loud), ("softer", soft)):
                answers = (embeddings[held_out] @ weight.T + bias).argmax(dim=1)
                right[kind] += int((answers == targets[held_out]).sum())
        accuracies[name] = {kind: round(n / len(data), 4) for kind, n in right.items()}
    return {"n_clips": len(data), "windows": accuracies}


def measure_nothing(root: Path, backgrounds: Path | None) -> dict[str, Any]:
    """Fit ten classes in several ways, and play each what it knows, other classes, and noise."""
    from soundsep import fit
    from soundsep.datasets import ESC50

    data = ESC50(root)
    known, others = data.labels[::5], data.labels[2::5]  # of each of the five groups two
    test = [clip for clip in data if clip.fold == TEST_FOLD]
    heard = {clip.origin for clip in test}
    learnt = [
        clip
        for clip in data
        if clip.fold in LEARNT_FOLDS and clip.label in known and clip.origin not in heard
    ]
    fits = dict(FITS)
    if backgrounds is not None:
        fits["five backgrounds"] = {"backgrounds": backgrounds}
    rows = {}
    for name, options in fits.items():
        classifier, _ = fit(learnt, backbone=BACKBONE, **options)
        for unknown in (False, True) if name == "plain" else (False,):
            rows[name + (", `--unknown`" if unknown else "")] = answers_of(
                classifier,
                unknown,
                [clip for clip in test if clip.label in known],
                [clip for clip in test if clip.label in others],
            )
    return {"n_learnt": len(learnt), "known": known, "others": others, "rows": rows}


def answers_of(
    classifier: Any, unknown: bool, known: Sequence[Any], others: Sequence[Any]
) -> dict[str, float]:
    """What a model names, of clips of its classes, of others, and of noise."""
    from soundsep import Pipeline
    from soundsep.datasets import load_examples
    from world_sounds import KINDS, RATE, computed

    pipe = Pipeline(classifier, unknown=unknown)
    noises = [wave for kind in KINDS if kind != "chords" for wave in computed(kind, seed=0)]
    soft = [SOFTER * wave for wave, _ in load_examples(known, sample_rate=RATE)]
    wanted = [clip.label for clip in known]

    def share(found: Iterable[bool]) -> float:
        return round(statistics.mean(found), 4)

    return {
        "named_right": share(
            r.label == w for r, w in zip(pipe([c.path for c in known]), wanted, strict=True)
        ),
        "best_softer": share(
            r.top(1)[0].label == w
            for r, w in zip(pipe(soft, sample_rate=RATE), wanted, strict=True)
        ),
        "noises_named": share(r.label is not None for r in pipe(noises, sample_rate=RATE)),
        "others_named": share(r.label is not None for r in pipe([c.path for c in others])),
    }


def table(results: dict[str, Any]) -> str:
    """The curve, in Markdown."""
    lines = ["| clips per class | accuracy | standard deviation |", "|---|---|---|"]
    lines += [
        f"| {row['clips_per_class']} | {row['accuracy_mean']:.1%} | "
        f"{100 * row['accuracy_std']:.1f} points |"
        for row in results["rows"]
    ]
    return (
        "\n".join(lines)
        + f"\n\n`{results['backbone']}`, probe; {results['data']}, {results['n_classes']} classes; "
        f"clips drawn from folds 1 to 4, tested on the {results['n_test_clips']} clips of fold "
        f"{results['test_fold']}; mean and standard deviation of {results['n_seeds']} draws.\n"
    )


def soft_table(soft: dict[str, Any]) -> str:
    """What amplifying soft windows gives, in Markdown."""
    lines = ["| soft windows | as recorded | 40 dB softer |", "|---|---|---|"]
    lines += [
        f"| {name} | {row['as_recorded']:.2%} | {row['softer']:.2%} |"
        for name, row in soft["windows"].items()
    ]
    return (
        "\n".join(lines) + f"\n\n`{BACKBONE}`, probe of 50 classes of ESC-50 at 16 kHz, fitted to "
        f"clips as recorded; each fold held out in turn, all {soft['n_clips']} clips together.\n"
    )


def nothing_table(nothing: dict[str, Any]) -> str:
    """What each way of fitting names, in Markdown."""
    lines = [
        "| | named right | right label best, 40 dB softer | noises named | other classes named |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {' | '.join(f'{share:.1%}' for share in row.values())} |"
        for name, row in nothing["rows"].items()
    ]
    return "\n".join(lines) + "\n"


def pages(results: dict[str, Any]) -> dict[Path, str]:
    """Both pages with what they should hold."""
    noise = filled(NOISE_PAGE, "backgrounds", nothing_table(results["nothing"]))
    return {
        PAGE: filled(PAGE, "few-shot", table(results)),
        NOISE_PAGE: filled(NOISE_PAGE, "soft-probe", soft_table(results["soft"]), within=noise),
    }


RESULTS = ResultsFile(REPOSITORY / "docs" / "few_shot.json", pages)


def main() -> None:
    """Measure and write, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument("root", type=Path, metavar="ROOT")
    parser.add_argument("backgrounds", type=Path, nargs="?", metavar="BACKGROUNDS")
    options = parser.parse_args()
    nothing = measure_nothing(options.root, options.backgrounds)
    before = RESULTS.read().get("nothing", {}).get("rows", {})
    nothing["rows"] = before | nothing["rows"]
    results = measure_counts(options.root)
    RESULTS.write(results | {"soft": measure_soft(options.root), "nothing": nothing})
    print(*RESULTS.pages(RESULTS.read()).values(), sep="\n")


if __name__ == "__main__":
    main()
