"""``soundsep separate``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from soundsep.cli.batch import go_through
from soundsep.cli.console import note, say
from soundsep.cli.options import Commands, add_channel, add_device
from soundsep.cli.output import check_free, refuse_recordings
from soundsep.cli.recordings import add_recordings, add_resume, given_recordings, own_places
from soundsep.cli.results_file import ResultsFile, record_of
from soundsep.errors import AudioError, ConfigError
from soundsep.names import printable

__all__ = ["add_command"]

DEFAULT_SEPARATOR = "esc50-mix2"


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "separate",
        help="take simultaneous sounds apart, one file each",
        description="Separate recordings of any length into their sources: one WAV file each, in a "
        "folder named after the recording. A recording that cannot be read is reported, the others "
        "are still processed, and the exit code is 1.",
        epilog="example: soundsep separate street.wav -o separated",
    )
    add_recordings(command)
    command.add_argument(
        "--model",
        default=DEFAULT_SEPARATOR,
        help="a published separator, a demucs model such as htdemucs, a folder, or org/repo "
        f"(default: {DEFAULT_SEPARATOR})",
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("separated"),
        metavar="DIR",
        help="where the folders are created (default: separated)",
    )
    add_resume(
        command,
        "recordings that are done are skipped, even if they failed; a hidden file in the output "
        "folder lists them",
    )
    add_channel(command)
    add_device(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    found = given_recordings(arguments)
    folders = {p: arguments.output / place for p, place in own_places(found.places).items()}
    if not (arguments.resume or arguments.overwrite):
        _check_free(folders)  # before a model is loaded
    from soundsep.cli.identity import weights_of
    from soundsep.separator import Separator

    separator = Separator.from_pretrained(arguments.model, device=arguments.device)
    files = {
        path: [folder / f"{source}.wav" for source in separator.sources]
        for path, folder in folders.items()
    }
    refuse_recordings((file for files in files.values() for file in files), found.paths)
    many = len(found.paths) > 1
    with closing(
        ResultsFile(
            record_of(arguments.output, "separate"),
            model=arguments.model,
            weights=weights_of(separator),
            options="" if arguments.channel is None else f"--channel {arguments.channel}",
            command="separate",
            resume=arguments.resume,
            retry_failed=arguments.retry_failed,
            overwrite=False,
            shared=True,
        )
    ) as record:
        done = {
            path: failed
            for path, failed in record.done.items()
            if failed or (path in files and all(file.is_file() for file in files[path]))
        }
        # An earlier run may have been stopped between the sources and the line that says so.
        begun = frozenset(record.begun)
        if not arguments.overwrite:
            others = folders.keys() - done.keys() - begun
            _check_free({path: f for path, f in folders.items() if path in others})

        def work(group: list[str]) -> Iterator[str | None]:
            (path,) = group
            overwrite = arguments.overwrite or path in begun
            for file in files[path]:  # hours may have passed; what is not ours must not be marked
                check_free(file, overwrite=overwrite)
            record.write([{"path": path, "unfinished": True}])
            try:
                paths = separator.separate_to_dir(
                    path,
                    folders[path],
                    overwrite=overwrite,
                    channel=arguments.channel,
                    progress=not many,
                )
            except AudioError as error:
                note(error)
                record.write([{"path": path, "error": str(error)}])
                yield str(error)
            else:
                say(printable(f"{path}: {', '.join(map(str, paths.values()))}"))
                record.write([{"path": path}])
                yield None

        return go_through(found.paths, work, done=done, output=arguments.output, can_resume=True)


def _check_free(folders: dict[str, Path]) -> None:
    """Check that no output exists yet, before hours are spent on the first recording.

    Raises:
        ConfigError: an output exists.
    """
    for folder in folders.values():
        if folder.exists():
            raise ConfigError(
                f"{folder} exists already; give another -o, --resume to continue an earlier run, "
                "or --overwrite to replace its sources"
            )
