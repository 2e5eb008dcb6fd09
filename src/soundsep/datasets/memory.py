"""Clips of a data set, decoded once and held in memory for training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from soundsep.audio import find_recordings, load_audio
from soundsep.config import check_number
from soundsep.datasets.array_cache import ArrayCache
from soundsep.datasets.clip import Clip, checked_clips
from soundsep.datasets.pieces import Piece, audio_keys, load_pieces
from soundsep.errors import AudioError, DatasetError
from soundsep.files import code_digest
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
        AudioError: a clip cannot be read.
        ConfigError: a clip is something else, such as a path.
    """
    clips = checked_clips("load_examples takes clips", clips)
    folder = cache and local_path(cache) / f"{sample_rate}hz-{code_digest('audio')[:12]}"
    kept = ArrayCache(folder or None)
    key_of = audio_keys()
    keys = {clip.audio: "" if kept.folder is None else key_of(clip.audio) for clip in clips}
    found: dict[Path | Piece, Tensor] = {}
    for audio, key in keys.items():
        if (array := kept.get(key)) is not None:
            found[audio] = torch.from_numpy(array)
    missing = [audio for audio in keys if audio not in found]
    loaded = load_pieces(missing, target_rate=sample_rate)
    for audio, waveform in progress_bar(
        loaded, progress=progress, unit="clip", desc="reading", total=len(missing)
    ):
        if isinstance(waveform, AudioError):
            raise waveform
        kept.put(keys[audio], waveform.numpy())
        found[audio] = waveform
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
        AudioError: a recording cannot be read.
        ConfigError: ``piece_seconds`` is not above 0.
        DatasetError: there are no recordings.
    """
    found = find_recordings(*paths)
    if not found.paths:
        raise DatasetError(found.none_found)
    waveforms = [load_audio(path, target_rate=sample_rate)[0] for path in found.paths]
    if piece_seconds is None:
        return waveforms
    length = max(1, round(check_number("piece_seconds", piece_seconds, above=0) * sample_rate))
    shortest = min(length, MIN_PIECE_SECONDS * sample_rate)
    pieces = [(p, w) for w in waveforms for p in torch.split(w, length)]
    return [piece for piece, whole in pieces if len(piece) >= min(shortest, len(whole))]
