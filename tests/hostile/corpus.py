"""Broken recordings, made from sound ones: every one follows from a seed and a number."""

from __future__ import annotations

import functools
import io
import itertools
import re
import struct
from dataclasses import dataclass

import numpy as np
import soundfile
from pyav_encoder import sound_of_ffmpeg

__all__ = ["KINDS", "Case", "case", "sound", "with_checksums"]

# Format and subtype of the sound recordings each kind is made from.
KINDS: dict[str, list[tuple[str, str]]] = {
    "wav": [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("WAV", "MS_ADPCM"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "ULAW"),
        ("WAV", "GSM610"),
        ("WAV", "G721_32"),
        ("WAV", "NMS_ADPCM_16"),
        ("WAVEX", "PCM_16"),
        ("RF64", "PCM_16"),
    ],
    "flac": [("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("FLAC", "PCM_S8")],
    "ogg": [("OGG", "VORBIS")],
    "opus": [("OGG", "OPUS")],
    "mp3": [("MP3", "MPEG_LAYER_III")],
    "aiff": [
        ("AIFF", "PCM_16"),
        ("AIFF", "PCM_24"),
        ("AIFF", "FLOAT"),
        ("AIFF", "ULAW"),
        ("AIFF", "IMA_ADPCM"),
        ("AIFF", "GSM610"),
    ],
    "caf": [("CAF", "PCM_16"), ("CAF", "ALAC_16"), ("CAF", "ALAC_24"), ("CAF", "FLOAT")],
    "au": [("AU", "PCM_16"), ("AU", "FLOAT"), ("AU", "ULAW"), ("AU", "G721_32")],
    "w64": [("W64", "PCM_16"), ("W64", "FLOAT"), ("W64", "MS_ADPCM"), ("W64", "GSM610")],
    "others": [
        ("AVR", "PCM_16"),
        ("HTK", "PCM_16"),
        ("IRCAM", "PCM_16"),
        ("MAT4", "FLOAT"),
        ("MAT5", "PCM_16"),
        ("MPC2K", "PCM_16"),
        ("NIST", "PCM_16"),
        ("PAF", "PCM_24"),
        ("PVF", "PCM_16"),
        ("SDS", "PCM_16"),
        ("SVX", "PCM_16"),
        ("VOC", "PCM_16"),
        ("WVE", "ALAW"),
        ("XI", "DPCM_16"),
    ],
    # What FFmpeg reads, by the names of pyav_encoder.
    "mp4": [("", kind) for kind in ("m4a", "alac.m4a", "mov", "float.mov", "3gp", "fragments.m4a")],
    "webm": [("", kind) for kind in ("webm", "vorbis.webm", "mka", "mkv")],
    "wma": [("", "wma")],
    "aac": [("", kind) for kind in ("aac", "ts")],
    "ac3": [("", kind) for kind in ("ac3", "eac3")],
    "amr": [("", "amr")],
    "wv": [("", "wv")],
    "avi": [("", kind) for kind in ("avi", "u8.avi")],
}
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".caf", ".au", ".w64", ".raw", "")

# Fields of headers: the bytes before them, their distance from there, byte order, width in bytes,
# and where a field is packed with others its lowest bit and number of bits.
FIELDS: dict[str, list[tuple[bytes, int, str, int, int, int]]] = {
    "wav": [
        *[(b"fmt ", o, "little", w, 0, 8 * w) for o, w in ((4, 4), (8, 2), (10, 2), (12, 4))],
        *[(b"fmt ", o, "little", w, 0, 8 * w) for o, w in ((16, 4), (20, 2), (22, 2), (24, 2))],
        *[(b"fmt ", o, "little", 2, 0, 16) for o in (26, 28, 30, 32)],
        *[(name, 4, "little", 4, 0, 32) for name in (b"data", b"RIFF", b"RF64", b"fact", b"ds64")],
        *[(b"ds64", o, "little", 8, 0, 64) for o in (8, 16, 24)],
        (b"fact", 8, "little", 4, 0, 32),
    ],
    "flac": [
        *[(b"fLaC", 18, "big", 8, low, bits) for low, bits in ((0, 36), (36, 5), (41, 3))],
        *[(b"fLaC", 18, "big", 8, low, bits) for low, bits in ((44, 20), (0, 36))],
        *[(b"fLaC", o, "big", w, 0, 8 * w) for o, w in ((4, 4), (8, 2), (10, 2), (12, 3))],
        (b"\xff\xf8", 2, "big", 2, 0, 16),
    ],
    "ogg": [
        *[(b"\x01vorbis", o, "little", 4, 0, 32) for o in (7, 12, 16, 20, 24)],
        *[(b"\x01vorbis", o, "little", 1, 0, 8) for o in (11, 28, 29)],
        *[(b"\x03vorbis", o, "little", 4, 0, 32) for o in (7, 11)],
        (b"\x05vorbis", 7, "little", 1, 0, 8),
        *[(b"OggS", o, "little", w, 0, 8 * w) for o, w in ((4, 1), (5, 1), (6, 8), (26, 1))],
    ],
    "opus": [
        *[(b"OpusHead", o, "little", 1, 0, 8) for o in (8, 9, 18, 19)],
        *[(b"OpusHead", o, "little", w, 0, 8 * w) for o, w in ((10, 2), (12, 4), (16, 2))],
        *[(b"OpusTags", o, "little", 4, 0, 32) for o in (8, 12)],
        *[(b"OggS", o, "little", w, 0, 8 * w) for o, w in ((4, 1), (5, 1), (6, 8), (26, 1))],
    ],
    "mp3": [
        *[(name, o, "big", 4, 0, 32) for name in (b"Xing", b"Info") for o in (4, 8, 12, 116)],
        *[(b"\xff", 0, "big", 4, low, bits) for low, bits in ((10, 2), (12, 4), (17, 4), (6, 2))],
    ],
    "aiff": [
        *[(b"COMM", o, "big", w, 0, 8 * w) for o, w in ((4, 4), (8, 2), (10, 4), (14, 2))],
        *[(b"COMM", o, "big", w, 0, 8 * w) for o, w in ((16, 2), (18, 8), (26, 4))],
        *[(b"SSND", o, "big", 4, 0, 32) for o in (4, 8, 12)],
        (b"FORM", 4, "big", 4, 0, 32),
    ],
    "caf": [
        *[(b"desc", o, "big", w, 0, 8 * w) for o, w in ((4, 8), (12, 8), (20, 4), (24, 4))],
        *[(b"desc", o, "big", 4, 0, 32) for o in (28, 32, 36, 40)],
        *[(b"pakt", o, "big", w, 0, 8 * w) for o, w in ((4, 8), (12, 8), (20, 8), (28, 4))],
        *[(b"kuki", o, "big", w, 0, 8 * w) for o, w in ((4, 8), (12, 4), (16, 1), (17, 1))],
        *[(b"kuki", o, "big", w, 0, 8 * w) for o, w in ((21, 1), (22, 2), (24, 4), (32, 4))],
        (b"data", 4, "big", 8, 0, 64),
    ],
    "au": [(b".snd", o, "big", 4, 0, 32) for o in (4, 8, 12, 16, 20)],
    "w64": [
        *[(b"fmt ", o, "little", w, 0, 8 * w) for o, w in ((16, 8), (24, 2), (26, 2), (28, 4))],
        *[(b"fmt ", o, "little", w, 0, 8 * w) for o, w in ((32, 4), (36, 2), (38, 2), (42, 2))],
        *[(name, 16, "little", 8, 0, 64) for name in (b"data", b"riff", b"fact")],
    ],
    "mp4": [
        *[(name, -4, "big", 4, 0, 32) for name in (b"moov", b"trak", b"stbl", b"stsd", b"moof")],
        *[(name, o, "big", 4, 0, 32) for name in (b"stsz", b"trun") for o in (4, 8, 12)],
        *[(b"stts", o, "big", 4, 0, 32) for o in (8, 12, 16)],
        *[(b"stsc", o, "big", 4, 0, 32) for o in (8, 12, 16, 20)],
        *[(name, 12, "big", 4, 0, 32) for name in (b"stco", b"co64", b"tfhd")],
        *[(name, o, "big", 4, 0, 32) for name in (b"mdhd", b"mvhd") for o in (16, 20)],
        *[(b"elst", o, "big", 4, 0, 32) for o in (8, 12, 16, 20)],
        *[(name, 20, "big", 2, 0, 16) for name in (b"mp4a", b"twos", b"samr", b"fl32")],
        *[(name, 28, "big", 4, 0, 32) for name in (b"mp4a", b"twos", b"samr", b"fl32")],
        *[(b"alac", o, "big", 4, 0, 32) for o in (8, 12, 20, 28)],
        *[(b"chan", o, "big", 4, 0, 32) for o in (8, 12, 16)],
        *[(b"esds", o, "big", 1, 0, 8) for o in (5, 6, 10, 20, 26, 30, 32, 36, 38)],
    ],
    "webm": [
        *[(name, 4, "big", 8, 0, 64) for name in (b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\x1fC\xb6u")],
        *[(b"\x16T\xaek", o, "big", 1, 0, 8) for o in (4, 8, 12, 16)],
        *[(b"\x44\x89", o, "big", 8, 0, 64) for o in (2, 3)],
        *[(b"\x2a\xd7\xb1", o, "big", 3, 0, 24) for o in (3, 4)],
        *[(name, 2, "big", 4, 0, 32) for name in (b"\x9f\x81", b"\xb5\x88", b"\xb5\x84", b"\xa3")],
        *[(name, 3, "big", 4, 0, 32) for name in (b"\x56\xaa", b"\x56\xbb", b"\x75\xa2")],
        *[(b"OpusHead", o, "little", 1, 0, 8) for o in (8, 9, 10, 11, 12, 16, 18)],
    ],
    "wma": [
        *[(b"\xa1\xdc\xab\x8c", o, "little", 8, 0, 64) for o in (16, 40, 56, 64, 72, 80)],
        *[(b"\xa1\xdc\xab\x8c", o, "little", 4, 0, 32) for o in (88, 92, 96, 100)],
        *[(b"\x91\x07\xdc\xb7", o, "little", 2, 0, 16) for o in (78, 80, 90, 92, 94)],
        *[(b"\x91\x07\xdc\xb7", o, "little", 4, 0, 32) for o in (64, 82, 86, 96)],
        *[(b"\x82\x00\x00", o, "little", 1, 0, 8) for o in (3, 4, 5, 6)],
    ],
    "aac": [
        *[
            (b"\xff\xf1", 2, "big", 4, low, bits)
            for low, bits in ((30, 2), (26, 4), (22, 3), (5, 13))
        ],
        *[(b"\x47", o, "big", 1, 0, 8) for o in (1, 2, 3, 4, 5)],
    ],
    "ac3": [(b"\x0b\x77", o, "big", 1, 0, 8) for o in (2, 3, 4, 5, 6)],
    "amr": [(b"#!AMR", o, "big", 1, 0, 8) for o in (5, 6, 7, 39)],
    "wv": [
        *[(b"wvpk", o, "little", w, 0, 8 * w) for o, w in ((4, 4), (8, 2), (10, 2), (12, 4))],
        *[(b"wvpk", o, "little", 4, 0, 32) for o in (16, 20, 24, 28)],
        *[(b"wvpk", o, "little", 1, 0, 8) for o in (32, 33, 36)],
    ],
    "avi": [
        *[(b"auds", o, "little", 4, 0, 32) for o in (20, 24, 28, 32, 40, 44)],
        *[(b"strf", o, "little", 2, 0, 16) for o in (8, 10, 20, 22, 24)],
        *[(b"strf", o, "little", 4, 0, 32) for o in (4, 12, 16)],
        *[(name, 4, "little", 4, 0, 32) for name in (b"RIFF", b"LIST", b"idx1", b"00wb", b"strh")],
    ],
}
# Where the parts of a file begin that are swapped, doubled and taken out.
PARTS = {
    "wav": rb"fmt |fact|PEAK|data|ds64",
    "flac": rb"\xff\xf8",
    "ogg": rb"OggS",
    "opus": rb"OggS",
    "mp3": rb"\xff[\xe2-\xff]",
    "aiff": rb"COMM|SSND|PEAK|FVER|COMT",
    "caf": rb"desc|kuki|pakt|chan|data|free|peak",
    "w64": rb"fmt \xf3|fact\xf3|data\xf3",
    "mp4": rb"moov|mdat|trak|mdia|stsd|stts|stsz|moof|traf",
    "webm": rb"\x1fC\xb6u|\x16T\xaek|\xa3[\x40-\x82]",
    "aac": rb"\xff\xf1|\x47[\x40\x41]",
    "ac3": rb"\x0b\x77",
    "wv": rb"wvpk",
    "avi": rb"LIST|strf|00wb|idx1",
}


@dataclass(frozen=True)
class Case:
    """A broken recording.

    Attributes:
        name: Seed, number, kind and what was done to it.
        kind: One of `KINDS`.
        container: Of the sound recording, as libsndfile calls it; empty for those of FFmpeg.
        subtype: As libsndfile or pyav_encoder calls it.
        suffix: How a file that holds it should end.
        data: What is in the file.
    """

    name: str
    kind: str
    container: str
    subtype: str
    suffix: str
    data: bytes


def case(seed: int, number: int) -> Case:
    """The broken recording of that number: the kinds take turns, the rest is drawn."""
    rng = np.random.default_rng([seed, number])
    kind = list(KINDS)[number % len(KINDS)]
    variants = KINDS[kind]
    container, subtype = variants[rng.integers(len(variants))]
    data, done = sound(container, subtype, int(rng.integers(2))), []
    for _ in range(rng.choice([1, 1, 2, 4])):
        mutate = MUTATIONS[rng.choice(len(MUTATIONS), p=WEIGHTS)]
        data = mutate(rng, kind, data)
        done.append(mutate.__name__.strip("_"))
    if kind in ("ogg", "opus") and rng.random() < 0.7:  # else most end at the check sum of a page
        data = with_checksums(data)
        done.append("with_checksums")
    suffix = SUFFIXES[rng.integers(len(SUFFIXES))]
    name = " ".join((f"{seed}-{number}", container, subtype, *done, suffix))
    return Case(name, kind, container, subtype, suffix, data)


@functools.cache
def sound(container: str, subtype: str, variant: int) -> bytes:
    """A short recording; the two variants differ in length, rate and, if possible, channels."""
    if not container:
        return sound_of_ffmpeg(subtype, variant)
    rate, n_channels = ((16_000, 1), (44_100, 2))[variant]
    n_channels = min(n_channels, 2 if soundfile.check_format(container, subtype) else 1)
    time = np.arange(int((0.5, 0.3)[variant] * rate)) / rate
    noise = np.random.default_rng(0).normal(0, 0.05, len(time))
    samples = 0.3 * np.sin(2 * np.pi * 440 * time) + noise
    buffer = io.BytesIO()
    try:
        channels = np.tile(samples[:, None], (1, n_channels))
        soundfile.write(buffer, channels, rate, format=container, subtype=subtype)
    except soundfile.SoundFileError:  # the format holds one channel, or rates of speech
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, 16_000, format=container, subtype=subtype)
    return _dateless(buffer.getvalue())


def _dateless(data: bytes) -> bytes:
    """Without what libsndfile takes from the clock, so that a case is the same on every day."""
    out = bytearray(data)
    for found in re.finditer(rb"OggS", data):
        out[found.start() + 14 : found.start() + 18] = b"sndp"
    if (peak := data.find(b"PEAK")) >= 0:
        out[peak + 12 : peak + 16] = bytes(4)
    if data.startswith(b"MATLAB"):
        out[20:116] = b" " * 96
    return with_checksums(bytes(out))


def with_checksums(data: bytes) -> bytes:
    """The pages of an Ogg file with check sums that are right."""
    out = bytearray(data)
    starts = [found.start() for found in re.finditer(rb"OggS", data)]
    for start, end in zip(starts, [*starts, len(data)][1:], strict=True):
        if end - start < 27:
            continue
        size = 27 + data[start + 26] + sum(data[start + 27 : start + 27 + data[start + 26]])
        page = bytearray(data[start : start + size])
        page[22:26] = bytes(4)
        out[start + 22 : start + 26] = _crc(page).to_bytes(4, "little")
    return bytes(out)


@functools.cache
def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


def _crc(page: bytes | bytearray) -> int:
    table, value = _crc_table(), 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
    return value


# --- mutations; each takes the generator, the kind and the file


def _place(rng: np.random.Generator, data: bytes) -> int:
    """A position, as often in the first 200 bytes as anywhere."""
    return int(rng.integers(max(1, min(len(data), 200) if rng.random() < 0.5 else len(data))))


def _truncated(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    return data[: _place(rng, data)]


def _flipped(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 7))):
        if out:
            out[_place(rng, data)] ^= 1 << int(rng.integers(8))
    return bytes(out)


def _number(rng: np.random.Generator, n_bits: int) -> int:
    """As likely a limit or a power of two as any other number."""
    most = (1 << n_bits) - 1
    choices = [0, 1, 2, most, most - 1, most >> 1, (most >> 1) + 1]
    choices += [1 << int(rng.integers(n_bits)), int(2 ** rng.uniform(0, n_bits))]
    choices.append(int(rng.integers(most, endpoint=True, dtype="u8")))
    return min(most, choices[rng.integers(len(choices))])


def _misstated(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    """One field of the header holds another number."""
    fields = [f for f in FIELDS.get(kind, []) if f[0] in data]
    if not fields:
        return _overwritten(rng, kind, data)
    marker, distance, order, width, low, n_bits = fields[rng.integers(len(fields))]
    places = [found.start() for found in re.finditer(re.escape(marker), data)]
    start = places[rng.integers(len(places))] + distance
    old = int.from_bytes(data[start : start + width], order)
    mask = ((1 << n_bits) - 1) << low
    if kind == "caf" and width == 8 and rng.random() < 0.5:
        values = [0.0, -1.0, 0.5, 1e9, 1e308, np.nan, np.inf, 44_100.5]
        new = int.from_bytes(struct.pack(">d", values[rng.integers(len(values))]), "big")
    else:
        new = old & ~mask | _number(rng, n_bits) << low
    return data[:start] + new.to_bytes(width, order) + data[start + width :]


def _overwritten(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    """Some word of the first bytes holds another number."""
    width = int(rng.choice([1, 2, 4, 8]))
    start = int(rng.integers(max(1, min(len(data), 256))))
    order = ("little", "big")[rng.integers(2)]
    return data[:start] + _number(rng, 8 * width).to_bytes(width, order) + data[start + width :]


def _parts(rng: np.random.Generator, kind: str, data: bytes) -> list[bytes]:
    """At least three pieces that together are the file."""
    cuts = [f.start() for f in re.finditer(PARTS[kind], data)] if kind in PARTS else []
    if kind == "w64":
        cuts = [cut for cut in cuts if cut >= 40]
    if len(cuts) < 2:
        cuts = sorted(int(rng.integers(len(data) + 1)) for _ in range(4))
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def _swapped(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    parts = _parts(rng, kind, data)
    i, j = rng.integers(len(parts), size=2)
    parts[i], parts[j] = parts[j], parts[i]
    return b"".join(parts)


def _doubled(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    parts = _parts(rng, kind, data)
    parts.insert(int(rng.integers(len(parts))), parts[rng.integers(len(parts))])
    return b"".join(parts)


def _bereft(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    parts = _parts(rng, kind, data)
    del parts[rng.integers(len(parts))]
    return b"".join(parts)


def _blotted(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    """A region of zeros, ones or noise."""
    start, size = _place(rng, data), int(2 ** rng.uniform(2, 12))
    size = min(size, len(data) - start)
    blots = (bytes(size), b"\xff" * size, rng.bytes(size))
    return data[:start] + blots[rng.integers(3)] + data[start + size :]


def _longer(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    """Junk before, inside or after."""
    junk = rng.bytes(int(2 ** rng.uniform(0, 14)))
    start = (0, _place(rng, data), len(data), len(data))[rng.integers(4)]
    return data[:start] + junk + data[start:]


def _spliced(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    """It goes on as a recording of another kind."""
    variants = KINDS[list(KINDS)[rng.integers(len(KINDS))]]
    other = sound(*variants[rng.integers(len(variants))], int(rng.integers(2)))
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _renamed(rng: np.random.Generator, kind: str, data: bytes) -> bytes:
    """Only the ending of the name is another; every case draws it."""
    return data


MUTATIONS = [
    _truncated,
    _flipped,
    _misstated,
    _overwritten,
    _swapped,
    _doubled,
    _bereft,
    _blotted,
    _longer,
    _spliced,
    _renamed,
]
WEIGHTS = np.array([2, 3, 6, 2, 1, 1, 1, 2, 1, 1, 0.5]) / 20.5
