"""The command line: it parses, calls the public functions, and prints."""

from __future__ import annotations

import argparse
import glob
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from soundsep import __version__
from soundsep.errors import SoundsepError

# Each command imports what it needs when it runs, so that --help and mistakes answer at once.

__all__ = ["main"]

# fmt: off
AUDIO_SUFFIXES = (
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".snd",
    ".w64", ".wav",
)
# fmt: on
DEFAULT_MODEL = "esc50-resnet34"
FILES_AT_ONCE = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        0 if all went well, 1 if some recordings failed, 2 if nothing could be done, 130 after
        Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except SoundsepError as error:
        print(f"soundsep: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("soundsep: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _classify(arguments: argparse.Namespace) -> int:
    from soundsep.pipeline import Pipeline

    files = list(_files(arguments.files))
    if not files:
        print("soundsep: error: no audio files in the folders given", file=sys.stderr)
        return 2
    pipe = Pipeline.from_pretrained(arguments.model, device=arguments.device)
    n_failed = 0
    for group in _groups(files, FILES_AT_ONCE):  # so that results come while a long list runs
        for result in pipe(
            group, top_k=arguments.top, batch_size=arguments.batch_size, errors="return"
        ):
            n_failed += result.error is not None
            if arguments.json:
                print(json.dumps(result.to_dict()))
            elif result.error is not None:
                print(f"soundsep: {result.error}", file=sys.stderr)
            else:
                print(result.table(arguments.top))
    if n_failed and len(files) > 1:
        print(f"soundsep: {n_failed} of {len(files)} recordings failed", file=sys.stderr)
    return 1 if n_failed else 0


def _models(arguments: argparse.Namespace) -> int:
    from soundsep.weights import PUBLISHED, published_results

    rows: list[dict[str, Any]] = [
        {
            "name": model.name,
            "size_mb": round(sum(file.size for file in model.files) / 1e6, 1),
            "licence": model.licence,
            "description": model.description,
            "result": published_results().get(model.name),
        }
        for model in PUBLISHED.values()
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        print(f"{row['name']}  ({row['size_mb']} MB)")
        print(f"  {row['description']}")
        if result := row["result"]:
            print(f"  {result['accuracy']:.2%} on {result['data']}, {result['protocol']}")
        print(f"  licence: {row['licence']}")
    return 0


def _train(arguments: argparse.Namespace) -> int:
    from soundsep.datasets import ESC50, load_examples
    from soundsep.training import get_recipe, train

    recipe = get_recipe(arguments.recipe)
    dataset = ESC50(arguments.data)
    training, held_out = (
        load_examples(clips, sample_rate=recipe.frontend.sample_rate)
        for clips in dataset.split(arguments.fold)
    )
    models = train(
        recipe,
        labels=dataset.labels,
        training=training,
        held_out=held_out,
        output=arguments.output,
        seed=arguments.seed,
        device=arguments.device,
    )
    for name, model in zip(("last", "ema"), models, strict=True):
        model.save_pretrained(arguments.output / name)
        print(f"wrote {arguments.output / name}")
    print((arguments.output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from soundsep.datasets import ESC50
    from soundsep.evaluation import evaluate
    from soundsep.pipeline import Pipeline

    clips = ESC50(arguments.data, folds=[arguments.fold]).clips
    pipe = Pipeline.from_pretrained(arguments.model, device=arguments.device)
    evaluation = evaluate(pipe, clips, batch_size=arguments.batch_size)
    print(f"{arguments.model} on ESC-50, fold {arguments.fold}")
    print(evaluation)
    name = Path(arguments.model).resolve().name
    output = arguments.output or Path(f"{name}-fold{arguments.fold}.json")
    evaluation.save(output)
    print(f"wrote {output}, with the whole confusion matrix")
    return 0


def _files(arguments: Iterable[str]) -> Iterator[str]:
    """Files as they are, folders as the audio in them, patterns as what they match."""
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            found = (p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
            yield from (str(p) for p in sorted(found) if p.is_file())
        elif path.exists() or not glob.has_magic(argument):
            yield argument
        else:  # a shell that leaves patterns alone, as on Windows; none found is reported as it is
            yield from sorted(glob.glob(argument, recursive=True)) or [argument]  # noqa: PTH207  # may be absolute


def _groups(files: Sequence[str], size: int) -> Iterator[list[str]]:
    iterator = iter(files)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _at_least_1(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="soundsep", description="Find out what is to be heard in a recording."
    )
    parser.add_argument("--version", action="version", version=f"soundsep {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    device = argparse.ArgumentParser(add_help=False)
    device.add_argument("--device", default="cpu", help="cpu, cuda, mps... (default: cpu)")
    batch = argparse.ArgumentParser(add_help=False)
    batch.add_argument(
        "--batch-size",
        type=_at_least_1,
        default=16,
        metavar="N",
        help="windows that are computed at once (default: 16)",
    )
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="ROOT",
        help="folder of ESC-50, with meta/esc50.csv and audio/",
    )
    data.add_argument(
        "--fold", type=int, choices=range(1, 6), default=5, help="the fold held out (default: 5)"
    )

    command = commands.add_parser(
        "classify",
        parents=[device, batch],
        help="name the sounds of recordings",
        description="Name the sounds of recordings. A recording that cannot be read is reported "
        "and the others go on; the exit code is then 1.",
    )
    command.add_argument(
        "files", nargs="+", metavar="FILE", help="recordings, folders of them, or patterns"
    )
    command.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help=f"a name of `soundsep models`, a folder, or org/repo (default: {DEFAULT_MODEL})",
    )
    command.add_argument(
        "--top", type=_at_least_1, default=5, metavar="K", help="labels shown of each (default: 5)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object a line")
    command.set_defaults(run=_classify)

    command = commands.add_parser(
        "models",
        help="list the published models",
        description="List the published models with size, accuracy and licence.",
    )
    command.add_argument("--json", action="store_true", help="print a JSON list")
    command.set_defaults(run=_models)

    command = commands.add_parser(
        "train",
        parents=[device, data],
        help="train a model on ESC-50",
        description="Train a model by a recipe, one fold of ESC-50 held out. Run the same command "
        "again after an interruption: it goes on where it stopped.",
    )
    command.add_argument(
        "--recipe",
        default=DEFAULT_MODEL,
        metavar="NAME",
        help=f"how to train (default: {DEFAULT_MODEL}; a wrong name is answered with the list)",
    )
    command.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="for metrics and weights"
    )
    command.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    command.set_defaults(run=_train)

    command = commands.add_parser(
        "evaluate",
        parents=[device, batch, data],
        help="measure a model on one fold of ESC-50",
        description="Classify every clip of one fold of ESC-50 and print accuracy, macro "
        "precision, recall and F1, calibration and the commonest mistakes; write them, with the "
        "whole confusion matrix, to a file.",
    )
    command.add_argument("model", metavar="MODEL", help="a name, a folder, or org/repo")
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where the figures and the confusion matrix go, as JSON (default: MODEL-foldN.json)",
    )
    command.set_defaults(run=_evaluate)
    return parser


if __name__ == "__main__":
    sys.exit(main())
