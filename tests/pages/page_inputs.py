"""The recordings and data sets that snippets of the pages name, synthetic and small."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np
import soundfile

from soundsep.labels import ESC50_LABELS, URBANSOUND8K_LABELS

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000


def make_inputs(folder: Path) -> Path:
    """Everything that more than one page names, below ``folder``."""
    sounds = folder / "examples" / "sounds"
    runpy.run_path(str(ROOT / "examples" / "synthesise_sounds.py"))["main"](sounds)
    siren, rain, knock, bells = (
        soundfile.read(sounds / f"synthetic_{name}.wav")
        for name in ("siren", "rain", "door_knock", "church_bells")
    )
    rate = siren[1]
    singles = {
        "yard.wav": knock,
        "yard.flac": knock,
        "evening.wav": bells,
        "unknown.wav": bells,
        "dog.wav": knock,
        "a.wav": siren,
        "b.mp3": rain,
        "extra.mp3": rain,
        "recordings/a.wav": siren,
        "recordings/b.wav": rain,
        "archive/1.flac": siren,
        "archive/street/2.flac": rain,
        "two_sounds.wav": ((siren[0] + knock[0]) / 2, rate),
        "night.wav": (np.concatenate([rain[0][: 3 * rate] / 50, siren[0], knock[0]]), rate),
    }
    for name, (samples, _) in singles.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, samples, rate)
    soundfile.write(folder / "night.flac", singles["night.wav"][0], rate)
    (folder / "night.csv").write_text(
        "start_seconds,end_seconds,label\n3.0,8.0,siren\n8.0,13.0,door_wood_knock\n",
        encoding="utf-8",
    )
    (folder / "season.csv").write_text(
        "path,start_seconds,end_seconds,label,score,start_time\n"
        "20240519_033000.WAV,12.5,20.0,rooster,0.912,2024-05-19T03:30:12.500\n",
        encoding="utf-8",
    )
    for name in ("evening", "night"):  # on the card, with labels beside the working folder's table
        path = folder / "card" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, singles["night.wav"][0], rate)
        (folder / f"{name}.txt").write_text("3.0\t8.0\tsiren\n8.0\t13.0\tknock\n")
    (folder / "broken.wav").write_bytes(b"no sound")
    write_classes(folder / "insects", ("background", "bee", "mosquito"), n_clips=5)
    write_classes(folder / "mine", ("talk",), n_clips=5)
    write_classes(folder / "copies", ("dog", "rain"), n_clips=2, name="{i}-1-{i}.wav")
    write_pets(folder / "pets")
    write_esc50(folder / "ESC-50")
    write_urbansound8k(folder / "UrbanSound8K")
    return folder


def write_classes(
    root: Path, labels: tuple[str, ...], *, n_clips: int, name: str = "{i}.wav"
) -> None:
    """A folder per label, each with clips of a tone of its own in noise."""
    for target, label in enumerate(labels):
        (root / label).mkdir(parents=True)
        for i in range(1, n_clips + 1):
            write_tone(root / label / name.format(i=i), 300 * (target + 1), seed=i)


def write_tone(path: Path, hz: float, *, seed: int) -> None:
    time = np.arange(RATE) / RATE
    noise = np.random.default_rng(seed).normal(0, 0.01, RATE)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hz * time) + noise, RATE)


def write_pets(root: Path) -> None:
    """A table as on the page of data sets, two clips in each fold."""
    root.mkdir()
    rows = [("dog", 1, "rex"), ("cat", 1, "kit"), ("dog", 2, "bo"), ("cat", 2, "tom")]
    lines = ["path,label,fold,group"]
    for label, fold, group in rows:
        write_tone(root / f"{group}.wav", 440, seed=fold)
        lines.append(f"{group}.wav,{label},{fold},{group}")
    (root / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_esc50(root: Path) -> None:
    """ESC-50 with one clip of a second for every class in every fold."""
    rows = [
        (f"{fold}-{target}-A-{target}.wav", fold, target, label, False, 100 * fold + target, "A")
        for fold in range(1, 6)
        for target, label in enumerate(ESC50_LABELS)
    ]
    write_table(
        root / "meta" / "esc50.csv",
        ("filename", "fold", "target", "category", "esc10", "src_file", "take"),
        rows,
    )
    (root / "audio").mkdir()
    for file, fold, target, *_ in rows:
        write_tone(root / "audio" / file, 200 + 50 * target, seed=fold)


def write_urbansound8k(root: Path) -> None:
    """UrbanSound8K with one slice of a second for every class in every fold."""
    rows = [
        (f"{origin}-{target}-0-0.wav", origin, 0, 1, 1, fold, target, label)
        for fold in range(1, 11)
        for target, label in enumerate(URBANSOUND8K_LABELS)
        for origin in [100 * fold + target]
    ]
    write_table(
        root / "metadata" / "UrbanSound8K.csv",
        ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"),
        rows,
    )
    for file, _, _, _, _, fold, target, _ in rows:
        path = root / "audio" / f"fold{fold}" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tone(path, 200 + 50 * target, seed=fold)


def write_table(path: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
