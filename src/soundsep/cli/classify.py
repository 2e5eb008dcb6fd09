"""``soundsep classify``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundsep.cli.batch import go_through, groups_of
from soundsep.cli.console import note, say
from soundsep.cli.formats import (
    RESULT_FORMATS,
    ResultLines,
    add_time_pattern,
    check_time_pattern,
    format_of,
)
from soundsep.cli.options import (
    DEFAULT_MODEL,
    Commands,
    add_batch_size,
    add_channel,
    add_device,
    add_doubt,
    add_model,
    add_processes,
    add_runtime,
    at_least_1,
)
from soundsep.cli.output import check_output
from soundsep.cli.parquet import sink_of
from soundsep.cli.recordings import add_recordings, add_resume, given_recordings
from soundsep.cli.results_file import ResultsFile
from soundsep.cli.sinks import Settings
from soundsep.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from soundsep.pipeline import Pipeline
    from soundsep.pipeline.results import ClipResult

__all__ = ["add_command"]

DEFAULT_TOP = 5


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "classify",
        help="name the sounds of recordings",
        description="Name the sounds of recordings. A recording that cannot be read is reported, "
        "the others are still processed, and the exit code is 1.",
        epilog="example: soundsep classify card/ --top 3 -o tags.csv",
    )
    add_recordings(command)
    add_model(command, DEFAULT_MODEL)
    command.add_argument(
        "--top",
        type=at_least_1,
        default=DEFAULT_TOP,
        metavar="K",
        help=f"number of best labels per recording (default: {DEFAULT_TOP})",
    )
    command.add_argument(
        "--separator",
        metavar="NAME",
        help="separate every recording first, for example with esc50-mix2, and name each source",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object per recording")
    command.add_argument(
        "--format",
        choices=RESULT_FORMATS,
        help="format of --output: csv and parquet have one row per recording, jsonl one object per "
        "line (default: by the suffix of the file, else jsonl)",
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write results and errors to this file (csv, jsonl or parquet); no line is cut off, "
        "whenever the run stops",
    )
    add_resume(
        command,
        "recordings that have a line in it are skipped, even if that line is an error",
    )
    add_doubt(command)
    add_channel(command)
    add_time_pattern(command)
    add_device(command)
    add_runtime(command)
    add_batch_size(command)
    add_processes(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    recordings = given_recordings(arguments).paths
    output = arguments.output
    if output is None and (arguments.resume or arguments.overwrite or arguments.format):
        raise ConfigError("--resume, --overwrite and --format need --output, which they are about")
    if output is not None:
        check_output(
            output,
            overwrite=arguments.resume or arguments.overwrite,
            recordings=recordings,
            hint="--resume continues it, --overwrite starts over",
        )
    check_time_pattern(arguments.time_pattern, recordings)
    pipe = _pipeline(arguments)
    if output is None:
        return _classify(arguments, pipe, recordings, None)
    with closing(_output(arguments, pipe)) as results:
        return _classify(arguments, pipe, recordings, results)


def _pipeline(arguments: argparse.Namespace) -> Pipeline:
    from soundsep.pipeline import Pipeline

    return Pipeline.from_pretrained(
        arguments.model,
        separator=arguments.separator,
        unknown=arguments.unknown,
        silence_db=arguments.silence_db,
        device=arguments.device,
        runtime=arguments.runtime,
    )


def _output(arguments: argparse.Namespace, pipe: Pipeline) -> ResultsFile | TableFile:
    from soundsep.cli.identity import weights_of

    kind = format_of(arguments.output, arguments.format, RESULT_FORMATS, "jsonl")
    # Results with another separator count as those of another model.
    model = " + ".join(filter(None, (arguments.model, arguments.separator)))
    weights = weights_of(pipe.classifier, pipe.separator)
    if kind == "jsonl":
        return ResultsFile(
            arguments.output,
            model=model,
            weights=weights,
            options=_options(arguments),
            resume=arguments.resume,
            retry_failed=arguments.retry_failed,
            overwrite=arguments.overwrite,
        )
    settings = Settings(
        resume=arguments.resume,
        retry_failed=arguments.retry_failed,
        overwrite=arguments.overwrite,
        model=model,
        weights=weights,
        options=" ".join(filter(None, (kind, _options(arguments)))),
        command="classify",
    )
    return TableFile(arguments, kind, settings)


class TableFile:
    """One file with one row per recording.

    Args:
        arguments: Arguments of the command.
        kind: "csv" or "parquet".
        settings: Treatment of an existing file.

    Attributes:
        done: Whether each recording of the resumed run failed.
    """

    def __init__(self, arguments: argparse.Namespace, kind: str, settings: Settings) -> None:
        lines = ResultLines(
            kind,
            top_k=arguments.top,
            time_pattern=arguments.time_pattern,
            is_separated=arguments.separator is not None,
        )
        self._sink = sink_of(arguments.output, kind, lines, settings, lines.columns)
        self.done = self._sink.done

    def write(self, result: ClipResult) -> None:
        """Add the row of a result, or of a failure."""
        with suppress(AudioError), self._sink.recording(str(result.path)) as write:
            write(result)
            if result.error is not None:
                raise AudioError(result.error)

    def close(self) -> None:
        """Close the file."""
        self._sink.close()


def _options(arguments: argparse.Namespace) -> str:
    """The options that change what a line holds, where they are not the defaults."""
    given = {
        f"--top {arguments.top}": arguments.top != DEFAULT_TOP,
        f"--channel {arguments.channel}": arguments.channel is not None,
        f"--time-pattern {arguments.time_pattern}": arguments.time_pattern is not None,
        "--unknown": arguments.unknown,
        f"--silence-db {arguments.silence_db}": arguments.silence_db is not None,
    }
    return " ".join(option for option, is_given in given.items() if is_given)


def _classify(
    arguments: argparse.Namespace,
    pipe: Pipeline,
    recordings: list[str],
    output: ResultsFile | TableFile | None,
) -> int:
    done = dict(output.done) if output else {}

    def work(group: list[str]) -> Iterator[str | None]:
        for result in islice(answers, len(group)):
            if isinstance(output, TableFile):
                output.write(result)
            elif output:
                output.write([_timed(result, arguments.time_pattern)])
            else:
                _show(result, arguments)
            yield result.error

    left = [path for path in recordings if path not in done]
    with closing(_results(arguments, pipe, left)) as answers:
        return go_through(
            recordings,
            work,
            done=done,
            group_size=arguments.batch_size,
            output=arguments.output,
            can_resume=output is not None,
            always_sum_up=output is not None,
        )


def _results(
    arguments: argparse.Namespace, pipe: Pipeline, paths: list[str]
) -> Generator[ClipResult]:
    """The results of recordings, in order; one that failed has its error."""
    groups = list(groups_of(paths, arguments.batch_size))
    n_processes = min(arguments.processes, len(groups))
    if n_processes < 2:
        yield from _heard(arguments, pipe, paths)
        return
    from soundsep.cli.workers import shared_out

    in_process = partial(_hears, arguments)
    with closing(shared_out(groups, in_process, n_processes=n_processes)) as answers:
        for results in answers:
            yield from results


def _hears(arguments: argparse.Namespace) -> Callable[[list[str]], list[ClipResult]]:
    """What gives the results of some recordings, in a process of its own."""
    pipe = _pipeline(arguments)
    return lambda paths: list(_heard(arguments, pipe, paths))


def _heard(
    arguments: argparse.Namespace, pipe: Pipeline, paths: Iterable[str]
) -> Generator[ClipResult]:
    # One call for all of them: the files of the next group are read while one is classified.
    return pipe(
        iter(paths),
        top_k=arguments.top,
        batch_size=arguments.batch_size,
        channel=arguments.channel,
        progress=False,
        errors="return",
    )


def _show(result: ClipResult, arguments: argparse.Namespace) -> None:
    if arguments.json:
        say(json.dumps(_timed(result, arguments.time_pattern)))
    elif result.error is not None:
        note(result.error)
    else:
        say(result.table(arguments.top))


def _timed(result: ClipResult, pattern: str | None) -> dict[str, Any]:
    """A result as a dictionary, with the time of day if the recording states it."""
    from soundsep.audio import recording_start
    from soundsep.pipeline.tables import clock_time

    start = None if result.path is None else recording_start(result.path, pattern=pattern)
    return result.to_dict() | ({} if start is None else {"start_time": clock_time(start, 0.0)})
