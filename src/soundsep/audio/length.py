"""How much of a recording can be heard, which is less than its header says if it is truncated."""

from __future__ import annotations

from pathlib import Path

import soundfile

from soundsep.audio.blocks import audio_blocks
from soundsep.errors import AudioError

__all__ = ["readable_seconds"]


def readable_seconds(path: str | Path) -> float:
    """Length of what can be heard of a recording: up to its end, or to where it breaks off.

    Truncated recordings are read to find that out, as are MP3 and the formats of the extra
    ``formats``, whose last sample is not found otherwise. Of all others only the end is read, so
    that damage before it does not count.

    Args:
        path: The recording.

    Raises:
        AudioError: nothing of it can be heard.
    """
    n_samples = 0
    with audio_blocks(path) as blocks:
        rate, stated = blocks.sample_rate, blocks.duration_seconds
        if stated is not None and _is_there(path, round(stated * rate) - 1):
            return stated
        try:
            for block in blocks:
                n_samples += len(block)
        except AudioError:
            if not n_samples:
                raise
    return n_samples / rate


def _is_there(path: str | Path, sample: int) -> bool:
    """Whether libsndfile finds a sample, without reading those before it."""
    try:
        with soundfile.SoundFile(path) as file:
            return file.seek(sample) == sample and len(file.read(1)) == 1
    except (OSError, RuntimeError, TypeError, ValueError):  # at odd headers too
        return False
