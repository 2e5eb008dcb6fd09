"""A whole recording in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from soundsep.audio.arrays import from_array, is_array, rate_of_array
from soundsep.audio.checks import AudioInput, Samples, check_format, check_target_rate
from soundsep.audio.decode import Decoder
from soundsep.audio.inputs import name_of, unpack
from soundsep.audio.mixdown import Mixer, check_channel
from soundsep.audio.resampling import resample
from soundsep.errors import AudioError, warn

__all__ = ["load_audio", "read_audio"]

MAX_SAMPLES = 2**28  # 1 GiB of float32: 1.7 h of mono at 44.1 kHz
BLOCK_SAMPLES = 2**18


def load_audio(
    audio: AudioInput,
    *,
    sample_rate: int | None = None,
    target_rate: int | None = None,
    mono: bool = True,
    channel: int | None = None,
) -> tuple[Tensor, int]:
    """Read a recording from a file, from memory or from an array.

    Args:
        audio: A path, the bytes of a file, a binary file object, or a NumPy array or tensor
            (time,) or (channels, time) of int16, int32, float32 or float64. Integers are scaled
            to -1..1. Files can have any format of libsndfile: wav, flac, ogg (Vorbis and Opus),
            mp3, aiff, caf, au and more; with the extra ``formats`` also those of phones, browsers
            and cameras: m4a, mp4, mov, 3gp, amr, aac, webm, mkv, wma, ac3, wv, avi.
        sample_rate: Rate of an array, in Hz; by default ``target_rate`` is assumed. Files state
            their own, so it is not used for them; it does not resample.
        target_rate: Rate of the result, in Hz; ``None`` keeps the recording's own.
        mono: Mix the channels: their mean, or one of them where they nearly cancel; see
            `soundsep.audio.Mixer`.
        channel: Read only this channel, counted from 0.

    Returns:
        The float32 waveform, (time,) or with ``mono=False`` (channels, time), and its rate in Hz.

    Warns:
        SoundsepWarning: an array was given without ``sample_rate``, or a file of another rate
            with it and without ``target_rate``, which may have been meant.

    Raises:
        AudioError: the file does not exist, is not audio, is damaged or truncated, or holds no
            samples, NaN or Inf, a peak above 100, more than 64 channels, a rate outside 1 kHz to
            768 kHz, more samples than fit in 1 GiB, or not the requested channel.
        ConfigError: an array was given without any rate, or an option is out of range.

    Examples:
        >>> stereo = np.zeros((2, 48_000))
        >>> waveform, rate = load_audio(stereo, sample_rate=48_000, target_rate=16_000)
        >>> waveform.shape, rate
        (torch.Size([16000]), 16000)
    """
    audio, sample_rate = unpack(audio, sample_rate)
    waveform, rate = read_audio(
        audio, sample_rate=sample_rate, target_rate=target_rate, mono=mono, channel=channel
    )
    if target_rate is None and sample_rate not in (None, rate):
        warn(
            f"sample_rate={sample_rate} was not used, for the recording is a file, which states "
            f"its rate, {rate} Hz; to resample, pass target_rate={sample_rate}"
        )
    return waveform, rate


def read_audio(
    audio: AudioInput,
    *,
    sample_rate: int | None,
    target_rate: int | None = None,
    mono: bool,
    channel: int | None,
) -> tuple[Tensor, int]:
    """What `load_audio` does, for callers to whom ``sample_rate`` was given for arrays alone.

    Returns:
        The waveform (time,), with ``mono=False`` (channels, time), and its rate in Hz.

    Raises:
        AudioError: the recording cannot be read.
    """
    target_rate, channel = check_target_rate(target_rate), check_channel(channel)
    audio, sample_rate = unpack(audio, sample_rate)
    try:
        if is_array(audio):
            samples, rate = _from_array(audio, sample_rate, target_rate, mono=mono, channel=channel)
        else:
            samples, rate = _from_file(audio, target_rate, mono=mono, channel=channel)
        waveform = torch.from_numpy(samples)
        if target_rate is not None:
            waveform, rate = resample(waveform, rate, target_rate), target_rate
    except MemoryError as error:
        raise AudioError(
            f"{name_of(audio)} does not fit into memory; cut it into shorter files, "
            "or process it in blocks with Pipeline.events"
        ) from error
    return (waveform[0] if mono else waveform), rate


def _from_array(
    audio: AudioInput,
    sample_rate: int | None,
    target_rate: int | None,
    *,
    mono: bool,
    channel: int | None,
) -> tuple[Samples, int]:
    rate = rate_of_array(sample_rate, target_rate)
    samples = from_array(audio)
    rate = check_format("the array", samples.shape[0], rate)
    mixer = Mixer("the array", len(samples), rate, mono=mono, channel=channel)
    samples = mixer.whole(samples)
    _check_size("the array", len(samples), samples.shape[1], rate, target_rate)
    return samples, rate


def _from_file(
    audio: Any, target_rate: int | None, *, mono: bool, channel: int | None
) -> tuple[Samples, int]:
    blocks: list[Samples] = []
    n_kept = 0
    with Decoder(audio) as decoder:
        mixer = Mixer(
            decoder.name, decoder.n_channels, decoder.sample_rate, mono=mono, channel=channel
        )
        size = max(1, BLOCK_SAMPLES // decoder.n_channels)
        while (block := decoder.read(size)).shape[1]:
            kept = mixer.push(block)
            n_kept += kept.shape[1]
            _check_size(decoder.name, len(kept), n_kept, decoder.sample_rate, target_rate)
            blocks.append(kept)
    if (rest := mixer.flush()).size:
        blocks.append(rest)
    samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
    return samples, decoder.sample_rate


def _check_size(
    name: str, n_channels: int, n_frames: int, rate: int, target_rate: int | None
) -> None:
    """Refuse a recording that is too large before or after resampling."""
    highest = max(rate, target_rate or 0)
    if n_channels * n_frames * highest > MAX_SAMPLES * rate:
        hours = MAX_SAMPLES / n_channels / highest / 3600
        channels = f" and {n_channels} channels" if n_channels > 1 else ""
        raise AudioError(
            f"{name} is longer than {hours:.1f} h, the most that is held in memory at {highest} Hz"
            f"{channels}; cut it into shorter files"
        )
