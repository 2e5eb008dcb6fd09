"""The kind of a file by its first bytes: which reader it needs, or what it is instead of audio."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

__all__ = ["HEAD_BYTES", "MOV", "Contents", "contents_of", "convert_command"]

HEAD_BYTES = 4096  # more than the longest frame of AC-3, which is recognised by two of them


@dataclass(frozen=True)
class Contents:
    """Kind of a file.

    Attributes:
        what: Name of the kind with its article, for messages.
        demuxer: FFmpeg's name of its demuxer; ``None`` if FFmpeg is not used for it.
        advice: Advice for the user, if it cannot be read.
    """

    what: str
    demuxer: str | None = None
    advice: str = "check the file"


MOV = "mov,mp4,m4a,3gp,3g2,mj2"
EXPORT = "export it as wav or flac with the program that wrote it, or convert it with ffmpeg"
UNPACK = "unpack it first"
IMAGE = Contents("an image, not a recording")
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp")
IMAGE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
LIBSNDFILE_IN_CAF = (b"lpcm", b"alac", b"ulaw", b"alaw")  # FFmpeg reads the rest of CAF
NOT_IN_TEXT = re.compile("[\\x00-\\x08\\x0e-\\x1a\\x1c-\\x1f\\x7f]")  # escape may be in a text

# Formats that FFmpeg reads and libsndfile does not, by their first bytes.
READ_BY_FFMPEG: tuple[tuple[bytes, Contents], ...] = (
    (b"\x1a\x45\xdf\xa3", Contents("a WebM/Matroska file", "matroska,webm")),
    (
        bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
        Contents("a Windows Media (WMA) file", "asf"),
    ),
    (b"#!AMR", Contents("an AMR file", "amr")),
    (b"wvpk", Contents("a WavPack file", "wv")),
)
# Formats that are not read, by their first bytes.
NOT_READ: tuple[tuple[bytes, Contents], ...] = (
    (
        b"version https://git-lfs",
        Contents("a Git LFS pointer, not the file itself", advice="fetch it with: git lfs pull"),
    ),
    (b"\x1f\x8b", Contents("a gzip archive", advice=UNPACK)),
    (b"PK\x03\x04", Contents("a ZIP archive", advice=UNPACK)),
    (b"PK\x05\x06", Contents("an empty ZIP archive")),
    (b"BZh", Contents("a bzip2 archive", advice=UNPACK)),
    (b"\xfd7zXZ\x00", Contents("an xz archive", advice=UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Contents("a 7z archive", advice=UNPACK)),
    (b"Rar!\x1a\x07", Contents("a RAR archive", advice=UNPACK)),
    (b"\x28\xb5\x2f\xfd", Contents("a Zstandard archive", advice=UNPACK)),
    (b"%PDF", Contents("a PDF document")),
    (b"\x89PNG", IMAGE),
    (b"\xff\xd8\xff", IMAGE),
    (b"GIF8", IMAGE),
    (b"II*\x00", IMAGE),
    (b"MM\x00*", IMAGE),
    (
        b"\x00\x05\x16\x07",
        Contents(
            "a companion file of macOS (AppleDouble), which holds no sound",
            advice="take the file without '._'",
        ),
    ),
    (
        b"MThd",
        Contents("a MIDI file, notes and no sound", advice="play it into a recording first"),
    ),
    (
        b"\x93NUMPY",
        Contents("a NumPy array", advice="load it with numpy.load and pass it with sample_rate="),
    ),
    (b"SQLite format 3", Contents("an SQLite database")),
    (b"MAC ", Contents("a Monkey's Audio file", advice=EXPORT)),
    (b"TTA1", Contents("a True Audio file", advice=EXPORT)),
    (b"DSD ", Contents("a DSD file", advice=EXPORT)),
    (b"FRM8", Contents("a DSD file", advice=EXPORT)),
    (b"MPCK", Contents("a Musepack file", advice=EXPORT)),
    (b"MP+", Contents("a Musepack file", advice=EXPORT)),
    (b".RMF", Contents("a RealMedia file", advice=EXPORT)),
    (b".ra\xfd", Contents("a RealAudio file", advice=EXPORT)),
    (b"FLV\x01", Contents("a Flash video", advice=EXPORT)),
    (b"\x00\x00\x01\xba", Contents("an MPEG programme stream", advice=EXPORT)),
)
# Texts, by their beginning without blanks and byte order mark.
PLAYLIST = Contents(
    "a playlist, which names recordings and holds none", advice="pass the files that it names"
)
TEXTS: tuple[tuple[str, Contents], ...] = (
    (
        r"<!doctype html|<html|<head|<body",
        Contents("an HTML page", advice="it may be a site's error page: download the file again"),
    ),
    (
        r"#extm3u|ffconcat version|\[playlist\]|<asx|<\?wpl|<smil|v=0\s+o=|<\?xml[^>]*>\s*<mpd",
        PLAYLIST,
    ),
    (r"<\?xml|<[a-z]+[ >]", Contents("an XML file")),
    (r"[{\[]", Contents("a JSON or other text file")),
)


def contents_of(head: bytes) -> Contents | None:
    """Recognise a file by its beginning; ``None`` if it is none of these kinds.

    Args:
        head: First `HEAD_BYTES` bytes of the file, or all if there are fewer.
    """
    if not head:
        return Contents("an empty file (0 bytes)", advice="copy it again, or record it again")
    for start, contents in READ_BY_FFMPEG:
        if head.startswith(start):
            return contents
    if found := _boxes(head) or _riff(head) or _caf(head) or _ogg(head) or _frames(head):
        return found
    for start, contents in NOT_READ:
        if head.startswith(start):
            return contents
    if head[257:262] == b"ustar":
        return Contents("a tar archive", advice=UNPACK)
    if not any(head):
        return Contents(
            "zero bytes where its header should be", advice="copy it again; its card may be faulty"
        )
    return _text(head)


def convert_command(name: str) -> str:
    """Shell command that converts a recording to a WAV file.

    Args:
        name: Name of the recording in messages; if that is not a file name, the command has a
            made-up one.
    """
    path = PurePath(name)
    if not path.suffix:
        path = PurePath("recording.m4a")
    old, new = path.name, path.with_suffix(".wav").name
    if re.fullmatch(r"[\w.+-]+", old):
        return f"ffmpeg -i {old} {new}"
    return f'ffmpeg -i "{old}" "{new}"'


def _boxes(head: bytes) -> Contents | None:
    """MP4, its relatives and its predecessor QuickTime: boxes with a size and a name."""
    if head[4:8] not in BOXES:
        return None
    brand = head[8:12] if head[4:8] in (b"ftyp", b"styp") else b"qt  "
    if brand in IMAGE_BRANDS:
        return IMAGE
    if brand.startswith((b"3gp", b"3g2")):
        return Contents("a 3GP file", MOV)
    return Contents("a QuickTime (MOV) file" if brand == b"qt  " else "an MP4/M4A file", MOV)


def _riff(head: bytes) -> Contents | None:
    if head.startswith(b"RIFF"):
        return {b"AVI ": Contents("an AVI file", "avi"), b"WEBP": IMAGE}.get(head[8:12])
    return None


def _caf(head: bytes) -> Contents | None:
    """Apple's CAF with a compression that libsndfile does not read."""
    known = head[28:32] in LIBSNDFILE_IN_CAF
    if head.startswith(b"caff") and head[8:12] == b"desc" and not known:
        return Contents("a CAF file of compressed sound", "caf")
    return None


def _ogg(head: bytes) -> Contents | None:
    """Ogg with an encoding that libsndfile does not read in it."""
    if head.startswith(b"OggS") and len(head) > 27:
        packet = head[27 + head[26] :]
        if packet.startswith(b"Speex "):
            return Contents("an Ogg Speex file", "ogg")
        if packet.startswith(b"\x7fFLAC"):
            return Contents("an Ogg file of FLAC", "ogg")
    return None


def _frames(head: bytes) -> Contents | None:
    """Streams of frames without a header, recognised by the beginnings of two frames."""
    start = _id3_size(head)
    frame = head[start : start + 7]
    if len(frame) == 7 and frame[0] == 0xFF and frame[1] & 0xF6 == 0xF0:
        size = (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
        following = head[start + size : start + size + 2]
        if size >= 7 and (len(following) < 2 or following[1] & 0xF6 == 0xF0):
            return Contents("an AAC (ADTS) file", "aac")
    if head.startswith(b"\x0b\x77") and len(head) > 5 and b"\x0b\x77" in head[6:]:
        version = head[5] >> 3
        if version <= 10:
            return Contents("an AC-3 file", "ac3")
        if version <= 16:
            return Contents("an E-AC-3 file", "eac3")
    for first, packet in ((0, 188), (4, 192)):
        if len(head) > 4 * packet and all(head[first + n * packet] == 0x47 for n in range(5)):
            return Contents("an MPEG transport stream", "mpegts")
    return None


def _id3_size(head: bytes) -> int:
    """Length in bytes of the ID3v2 tag at the start, 0 if there is none."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _text(head: bytes) -> Contents | None:
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < HEAD_BYTES - 3:  # else the end of ``head`` cuts a letter
            return None
        text = head[: error.start].decode("utf-8-sig")
    if NOT_IN_TEXT.search(text):
        return None
    for pattern, contents in TEXTS:
        if re.match(pattern, text.lstrip(), re.IGNORECASE):
            return contents
    return Contents("a text file")
