"""Any recording to a float32 tensor: decode, check, downmix, resample.

Every hazard of a file or an array ends here, as an `AudioError` that says what to do.
"""

from __future__ import annotations

import functools
import io
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.errors import AudioError, ConfigError

__all__ = ["AUDIO_SUFFIXES", "AudioInput", "is_array", "load_audio", "resample"]

AudioInput: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | NDArray[Any] | Tensor"

# How the names of recordings end that are looked for in folders; `load_audio` reads by content.
# fmt: off
AUDIO_SUFFIXES = (
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".snd",
    ".w64", ".wav",
)
# fmt: on
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000
MAX_CHANNELS = 64
MAX_SAMPLES = 2**28  # 1 GiB of float32: 1.7 h of mono at 44.1 kHz
MAX_PEAK = 2.0**31  # integers that were cast to float without being scaled still pass
BLOCK_SAMPLES = 2**18
LEAST_SHARE = 0.99  # of the samples promised; a few lost at the end do no harm
TRIMMED = r"^ *(?:data|SSND|Data Size) *: *(\d+) \(should be (\d+)\)"
FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31, "float32": 1.0, "float64": 1.0}

Samples: TypeAlias = NDArray[np.float32]  # (channels, time)


def load_audio(
    audio: AudioInput,
    *,
    sample_rate: int | None = None,
    target_rate: int | None = None,
    mono: bool = True,
) -> tuple[Tensor, int]:
    """Read a recording from a file, from memory or from an array.

    Args:
        audio: A path, the bytes of a file, a binary file object, or a NumPy array or tensor
            (time,) or (channels, time) of int16, int32, float32 or float64. Integers are scaled
            to -1..1. Files are all that libsndfile reads: wav, flac, ogg (Vorbis and Opus), mp3,
            aiff, caf, au and more.
        sample_rate: Rate of an array, in Hz; by default it is taken to be ``target_rate``. Files
            carry their own, so it is not used for them.
        target_rate: Rate wanted, in Hz; ``None`` keeps the recording's own.
        mono: Average the channels. Opposite signals in two channels cancel.

    Returns:
        The float32 waveform, (time,) or with ``mono=False`` (channels, time), and its rate.

    Raises:
        AudioError: there is no such file, it is not audio, is damaged or truncated, holds no
            samples, NaN or Inf, more than 64 channels, a rate outside 1 kHz to 768 kHz, or more
            samples than fit in 1 GiB.
        ConfigError: an array came without any rate, or ``target_rate`` is out of range.

    Examples:
        >>> stereo = np.zeros((2, 48_000))
        >>> waveform, rate = load_audio(stereo, sample_rate=48_000, target_rate=16_000)
        >>> waveform.shape, rate
        (torch.Size([16000]), 16000)
    """
    if target_rate is not None and not MIN_RATE_HZ <= target_rate <= MAX_RATE_HZ:
        raise ConfigError(
            f"target_rate must be {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, got {target_rate}"
        )
    if is_array(audio):
        rate = target_rate if sample_rate is None else sample_rate
        if rate is None:
            raise ConfigError("an array carries no sample rate: pass sample_rate= in Hz")
        samples = _from_array(audio)
        _check_format("the array", samples.shape[0], rate)
        if mono:
            samples = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    else:
        samples, rate = _from_file(audio, mono=mono)
    waveform = torch.from_numpy(samples)
    if target_rate is not None:
        waveform = resample(waveform, rate, target_rate)
        rate = target_rate
    return (waveform[0] if mono else waveform), rate


def is_array(audio: object) -> bool:
    """Whether ``audio`` is samples in memory, which carry no rate of their own."""
    return isinstance(audio, (np.ndarray, Tensor))


def _from_array(audio: AudioInput) -> Samples:
    """(channels, time) in float32, checked; never a view of the caller's memory."""
    if isinstance(audio, Tensor):
        dtype = str(audio.dtype).removeprefix("torch.")
    else:
        dtype = np.asarray(audio).dtype.name
    if dtype not in FULL_SCALE:
        raise AudioError(
            f"expected samples of int16, int32, float32 or float64, got {dtype}; convert them"
        )
    array = audio.detach().cpu().numpy() if isinstance(audio, Tensor) else np.asarray(audio)
    if array.ndim not in (1, 2):
        raise AudioError(f"expected an array (time,) or (channels, time), got shape {array.shape}")
    if array.size == 0:
        raise AudioError(f"the array holds no samples, its shape is {array.shape}")
    if array.ndim == 2 and array.shape[0] > array.shape[1]:
        raise AudioError(
            f"the array has shape {array.shape}, which would be {array.shape[0]} channels of "
            f"{array.shape[1]} samples; expected (channels, time): pass its transpose"
        )
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes Inf, which is caught next
        samples = np.array(np.atleast_2d(array), dtype=np.float32, order="C")
    samples /= FULL_SCALE[dtype]
    _check_samples("the array", samples)
    return samples


def _from_file(audio: Any, *, mono: bool) -> tuple[Samples, int]:
    name, source = _open(audio)
    try:
        with source, soundfile.SoundFile(source) as file:
            _check_format(name, file.channels, file.samplerate)
            return _decode(name, file, mono=mono), int(file.samplerate)
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        # TypeError and ValueError: soundfile's answer to headerless files and odd headers
        reason = getattr(error, "error_string", None) or error
        raise AudioError(
            f"{name} cannot be read as audio ({reason}); expected wav, flac, ogg, mp3, aiff, caf, "
            "au or another format of libsndfile: check the file, or convert it to one of them"
        ) from error


def _open(audio: Any) -> tuple[str, BinaryIO]:
    """A name for messages, and an open binary file."""
    if isinstance(audio, (str, os.PathLike)):
        path = Path(audio).expanduser()
        if not path.is_file():
            kind = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise AudioError(f"{path} {kind}; expected the path of a recording")
        try:
            return str(path), path.open("rb")
        except OSError as error:
            raise AudioError(f"{path} cannot be opened: {error.strerror}") from error
    if isinstance(audio, (bytes, bytearray, memoryview)):
        return "the bytes given", io.BytesIO(audio)
    if hasattr(audio, "read"):
        data = audio.read()
        if not isinstance(data, bytes):
            raise AudioError("the file object gives text; open it in binary mode ('rb')")
        return str(getattr(audio, "name", "the file object")), io.BytesIO(data)
    raise AudioError(
        "expected a path, bytes, a binary file object, a NumPy array or a tensor, got "
        f"{type(audio).__name__}"
    )


def _decode(name: str, file: soundfile.SoundFile, *, mono: bool) -> Samples:
    """Read block by block: a header that promises terabytes costs nothing."""
    blocks: list[Samples] = []
    n_frames = n_kept = 0
    size = max(1, BLOCK_SAMPLES // file.channels)
    while (block := file.read(size, dtype="float32", always_2d=True)).shape[0]:
        _check_samples(name, block)
        n_frames += block.shape[0]
        kept = block.mean(axis=1, keepdims=True) if mono else block
        n_kept += kept.size
        if n_kept > MAX_SAMPLES:
            raise AudioError(
                f"{name} is longer than {MAX_SAMPLES / file.samplerate / 3600:.1f} h, the most "
                "that is held in memory at its rate; cut it into shorter files"
            )
        blocks.append(kept)
    if not blocks:
        raise AudioError(f"{name} holds no samples; it is empty or was cut off: record it again")
    if (share := n_frames / max(_promised_frames(file, n_frames), 1)) < LEAST_SHARE:
        raise AudioError(
            f"{name} is truncated: only {share:.0%} of the samples that its header promises are "
            "there; copy it again, or re-encode what is left of it"
        )
    return np.ascontiguousarray(np.concatenate(blocks).T)


def _promised_frames(file: soundfile.SoundFile, n_decoded: int) -> float:
    """Length by the header, in samples; the decoded one where the header does not know it."""
    # libsndfile trims a length to the size of the file, and tells so only in its log.
    if trimmed := re.search(TRIMMED, file.extra_info, re.MULTILINE):
        promised, present = map(int, trimmed.groups())
        # Recorders and pipes write 0 or the largest number where they do not know the length.
        return n_decoded * promised / max(present, 1) if promised < 2**31 - 2**12 else n_decoded
    # MP3 is a stream, and what its first frame says of the length is often an estimate. A length
    # that is not known at all is near 2**63.
    known = file.format != "MP3" and file.frames < 2**62
    return file.frames if known else n_decoded


def _check_format(name: str, n_channels: int, rate: float) -> None:
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ or rate != int(rate):
        raise AudioError(
            f"{name} has a sample rate of {rate} Hz; expected a whole number from {MIN_RATE_HZ} to "
            f"{MAX_RATE_HZ}: check its header, or resample it"
        )
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise AudioError(
            f"{name} has {n_channels} channels; expected 1 to {MAX_CHANNELS}: check its header or "
            "its layout (channels, time), or pick channels"
        )


def _check_samples(name: str, samples: Samples) -> None:
    # The largest magnitude is NaN or Inf exactly if any sample is.
    peak = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(peak):
        raise AudioError(f"{name} holds NaN or infinite samples; repair or remove them")
    if peak > MAX_PEAK:
        raise AudioError(f"{name} has a peak of {peak:.3g}; expected samples from -1 to 1")


def resample(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Change the sample rate with a windowed-sinc low-pass filter, in polyphase form.

    Up to 0.85 of the lower of the two Nyquist frequencies a tone keeps its level within 0.2 dB;
    from 1.03 on it is at least 60 dB down. From rates above 65536 Hz the ratio, in lowest terms,
    may have a denominator above that; the nearest fraction below it is taken then, which changes
    the speed by less than 2e-5.

    It works on the CPU and without gradients.

    Args:
        waveform: Any number of channels.
        source_rate: Its rate, in Hz, at least 1.
        target_rate: The rate wanted, in Hz, at least 1.

    Shape:
        waveform: (..., time). Returns (..., ceil(time * target_rate / source_rate)) in float32; at
        equal rates the waveform itself.

    Raises:
        ConfigError: a rate is below 1.

    References:
        Crochiere and Rabiner (1983), "Multirate digital signal processing", chapter 2.
        Kaiser (1974), for the window.
    """
    if min(source_rate, target_rate) < 1:
        raise ConfigError(f"rates must be at least 1 Hz, got {source_rate} and {target_rate}")
    if source_rate == target_rate:
        return waveform
    # scipy.signal takes a third of a second to import; most calls of short scripts need it not
    from scipy.signal import resample_poly

    ratio = Fraction(target_rate, source_rate).limit_denominator(2**16)
    up, down = ratio.numerator, ratio.denominator
    out = resample_poly(
        waveform.detach().cpu().numpy(), up, down, axis=-1, window=_low_pass(max(up, down))
    )
    return torch.from_numpy(np.ascontiguousarray(out, dtype=np.float32))


@functools.lru_cache(maxsize=8)
def _low_pass(factor: int) -> NDArray[np.float32]:
    """Filter for a rate change by ``factor``: 24 zero crossings a side, Kaiser window.

    float32 throughout: for coprime rates it has a million taps.
    """
    n_zeros, beta, cutoff = 24, 7.0, 0.94
    n = n_zeros * factor
    taps = torch.sinc(torch.arange(-n, n + 1, dtype=torch.float32).mul_(cutoff / factor))
    taps *= torch.kaiser_window(2 * n + 1, periodic=False, beta=beta, dtype=torch.float32)
    taps /= taps.sum(dtype=torch.float64)
    filter_taps: NDArray[np.float32] = taps.numpy()
    filter_taps.setflags(write=False)
    return filter_taps
