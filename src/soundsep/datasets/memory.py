"""Clips of a data set, decoded once and held in memory for training."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from soundsep.audio import find_recordings, load_audio
from soundsep.config import check_number
from soundsep.datasets.array_cache import ArrayCache
from soundsep.datasets.clip import Clip, checked_clips
from soundsep.datasets.pieces import Piece, all_unusable, audio_keys, load_pieces
from soundsep.digests import code_digest
from soundsep.errors import AudioError, DatasetError
from soundsep.names import local_path
from soundsep.progress import progress_bar

__all__ = ["load_examples", "load_recordings"]

MIN_PIECE_SECONDS = 0.5


def load_examples(
    clips: Sequence[Clip],
    *,
    sample_rate: int,
    cache: str | Path | None = None,
    progress: bool = True,
) -> list[tuple[Tensor, int]]:
    """Waveform (time,) at ``sample_rate`` and index of the class, for each clip.

    ESC-50 takes 640 MB at 16 kHz.

    Args:
        clips: Clips of any data set.
        sample_rate: Rate to load at, in Hz.
        cache: Folder to keep the decoded and resampled waveforms in for later runs, by the bytes
            of the clip, the rate and the decoding code. Damaged files are replaced; nothing is
            ever deleted.
        progress: Show a progress bar.

    Raises:
        AudioError: clips cannot be read; all are tried, and the first few named.
        ConfigError: a clip is something else, such as a path.
    """
    clips = checked_clips("load_examples takes clips", clips)
    folder = cache and local_path(cache) / f"{sample_rate}hz-{code_digest('audio')[:12]}"
    kept = ArrayCache(folder or None)
    key_of = audio_keys()
    keys = dict.fromkeys((clip.audio for clip in clips), "")
    found: dict[Path | Piece, Tensor] = {}
    for audio in keys if kept.folder else ():
        with suppress(AudioError):  # it is raised where the clip is decoded
            keys[audio] = key_of(audio)
            if (array := kept.get(keys[audio])) is not None:
                found[audio] = torch.from_numpy(array)
    missing = [audio for audio in keys if audio not in found]
    faults: list[AudioError] = []
    loaded = load_pieces(missing, target_rate=sample_rate)
    for audio, waveform in progress_bar(
        loaded, progress=progress, unit="clip", desc="reading", total=len(missing)
    ):
        if isinstance(waveform, AudioError):
            faults.append(waveform)
            continue
        kept.put(keys[audio], waveform.numpy())
        found[audio] = waveform
    if faults:
        raise all_unusable(faults, len(keys), "clips")
    return [(found[clip.audio], clip.target) for clip in clips]


def load_recordings(
    *paths: str | Path, sample_rate: int, piece_seconds: float | None = None
) -> list[Tensor]:
    """Recordings without labels, such as backgrounds and strangers of `Soundscapes`, (time,) each.

    Args:
        paths: Files, folders and patterns.
        sample_rate: Rate to load at, in Hz.
        piece_seconds: Cut every recording into pieces of this length; a rest below half a second
            is left out.

    Raises:
        AudioError: recordings cannot be read; all are tried, and the first few named.
        ConfigError: ``piece_seconds`` is not above 0.
        DatasetError: there are no recordings.
    """
    found = find_recordings(*paths)
    if not found.paths:
        raise DatasetError(found.none_found)
    waveforms: list[Tensor] = []
    faults: list[AudioError] = []
    for path in found.paths:
        try:
            waveforms.append(load_audio(path, target_rate=sample_rate)[0])
        except AudioError as error:
            faults.append(error)
    if faults:
        raise all_unusable(faults, len(found.paths), "recordings")
    if piece_seconds is None:
        return waveforms
    length = max(1, round(check_number("piece_seconds", piece_seconds, above=0) * sample_rate))
    shortest = min(length, MIN_PIECE_SECONDS * sample_rate)
    pieces = [(p, w) for w in waveforms for p in torch.split(w, length)]
    return [piece for piece, whole in pieces if len(piece) >= min(shortest, len(whole))]
