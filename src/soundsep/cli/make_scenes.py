"""``soundsep make-scenes``."""

from __future__ import annotations

import argparse

from soundsep.cli.console import note, say
from soundsep.cli.options import Commands, add_folder, add_overwrite
from soundsep.cli.output import writing
from soundsep.cli.scene_options import add_scene_options, scene_config, scenes_of
from soundsep.cli.startup import import_torch
from soundsep.errors import ConfigError

__all__ = ["add_command"]

SUMMARY = "scenes.json"


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "make-scenes",
        help="mix clips into scenes of several sounds",
        description="Mix clips of one fold reproducibly into scenes of several sounds over a "
        "background: for each scene a 24-bit WAV file, with its events as csv and as JSON in the "
        "style of JAMS.",
        epilog="example: soundsep make-scenes --data ESC-50 --fold 5 --n-scenes 3 -o scenes",
    )
    add_scene_options(command, n_default=20)
    add_folder(command, "the files")
    command.add_argument(
        "--training",
        action="store_true",
        help="use the clips of all other folds instead, except those cut from a recording that is "
        "also in this fold",
    )
    add_overwrite(command, "scenes")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep._version import __version__
    from soundsep.audio.encode import file_bytes
    from soundsep.datasets import true_events, write_truth
    from soundsep.files import write_bytes, write_json
    from soundsep.progress import progress_bar

    config, folder = scene_config(arguments), arguments.output
    width = max(4, len(str(arguments.n_scenes - 1)))
    names = [f"{i:0{width}}" for i in range(arguments.n_scenes)]
    files = [folder / f"{name}{suffix}" for name in names for suffix in (".wav", ".csv", ".json")]
    there = [path for path in (*files, folder / SUMMARY) if path.exists()]
    if there and not arguments.overwrite:
        raise ConfigError(
            f"{there[0]} exists already; name another folder, or give --overwrite to replace it"
        )
    scenes, dataset = scenes_of(arguments, config, training=arguments.training)
    labels = dataset.labels
    settings = {
        "data": arguments.data.resolve().name,
        "fold": arguments.fold,
        "training": arguments.training,
        "seed": arguments.seed,
        "config": config.to_dict(),
        "soundsep": __version__,
    }
    seconds = config.n_samples / config.sample_rate
    n_events = 0
    for index in progress_bar(range(len(scenes)), progress=True, unit="scene", desc="making"):
        scene = scenes[index]
        events = true_events(scene, labels)
        n_events += len(events)
        wave = folder / f"{names[index]}.wav"
        notes = {**settings, "scene": index}
        sound = file_bytes(scene.waveform, config.sample_rate, container="WAV", subtype="PCM_24")
        with writing(wave):
            write_bytes(wave, sound)
            for suffix in (".csv", ".json"):
                write_truth(
                    events,
                    wave.with_suffix(suffix),
                    duration_seconds=seconds,
                    title=wave.name,
                    notes=notes,
                )
    with writing(folder / SUMMARY):
        write_json(folder / SUMMARY, {**settings, "n_scenes": len(scenes), "labels": list(labels)})
    if not n_events:
        note("no scene holds any sound: see --sounds-per-minute")
    say(f"wrote {len(scenes)} scenes of {seconds:g} s with {n_events} events to {folder}")
    return 0
