"""Recordings in the formats of phones, browsers and cameras, made by PyAV."""

from __future__ import annotations

import tempfile
from pathlib import Path

import av
import numpy as np

__all__ = ["LOSSLESS", "WRITABLE", "encode", "sound_of_ffmpeg"]

# Of every kind that is read by FFmpeg, its container and codec in FFmpeg's words, and the rate
# where the codec has but one.
WRITABLE: dict[str, tuple[str, str, int | None]] = {
    "m4a": ("ipod", "aac", None),
    "alac.m4a": ("ipod", "alac", None),
    "mp4": ("mp4", "aac", None),
    "mp3.mp4": ("mp4", "libmp3lame", None),
    "mov": ("mov", "pcm_s16be", None),
    "24.mov": ("mov", "pcm_s24le", None),
    "float.mov": ("mov", "pcm_f32le", None),
    "ima.mov": ("mov", "adpcm_ima_qt", None),
    "3gp": ("3gp", "libopencore_amrnb", 8_000),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "webm": ("webm", "libopus", 48_000),
    "vorbis.webm": ("webm", "libvorbis", None),
    "mka": ("matroska", "flac", None),
    "mkv": ("matroska", "pcm_s16le", None),
    "wma": ("asf", "wmav2", None),
    "aac": ("adts", "aac", None),
    "ts": ("mpegts", "aac", None),
    "ac3": ("ac3", "ac3", 48_000),
    "eac3": ("eac3", "eac3", 48_000),
    "wv": ("wv", "wavpack", None),
    "avi": ("avi", "pcm_s16le", None),
    "u8.avi": ("avi", "pcm_u8", None),
    "flac.oga": ("ogg", "flac", None),
    "opus.caf": ("caf", "libopus", 48_000),
}
LOSSLESS = ("alac.m4a", "mov", "24.mov", "float.mov", "mka", "mkv", "wv", "avi", "flac.oga")
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def sound_of_ffmpeg(kind: str, variant: int) -> bytes:
    """A short recording; the two variants differ in length, rate and channels if possible."""
    options = {"fflags": "+bitexact"}
    if kind == "fragments.m4a":
        kind, options["movflags"] = "m4a", "empty_moov"
    fixed_rate = WRITABLE[kind][2]
    rate = fixed_rate or (16_000, 44_100)[variant]
    n_channels = 1 if "amr" in WRITABLE[kind][1] else 1 + variant
    time = np.arange(int((0.5, 0.3)[variant] * rate)) / rate
    noise = np.random.default_rng(0).normal(0, 0.05, (n_channels, len(time)))
    return encode(kind, 0.3 * np.sin(2 * np.pi * 440 * time) + noise, rate, **options)


def encode(kind: str, samples: np.ndarray, rate: int, **options: str) -> bytes:
    """A file of that kind.

    Args:
        kind: One of `WRITABLE`.
        samples: (channels, time), from -1 to 1.
        rate: In Hz; one that the codec writes.
        options: Of FFmpeg's muxer.
    """
    container, codec, _ = WRITABLE[kind]
    with (
        tempfile.NamedTemporaryFile() as disk,  # some options read again what was written
        av.open(disk.name, "w", format=container, container_options=options) as file,
    ):
        stream = file.add_stream(codec, rate=rate)
        stream.layout = LAYOUTS[len(samples)]
        if codec == "wmav2":  # which refuses its own default
            stream.bit_rate = 64_000
        if codec == "wavpack":  # else it takes 8 bits
            stream.format = "s16p"
        for start in range(0, samples.shape[1], 1024):
            # Packed, since PyAV finds one plane too many in eight channels.
            block = np.ascontiguousarray(samples[:, start : start + 1024].T, dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(
                block.reshape(1, -1), format="flt", layout=LAYOUTS[len(samples)]
            )
            frame.sample_rate, frame.pts = rate, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        file.close()
        return Path(disk.name).read_bytes()
