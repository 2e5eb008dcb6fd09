"""The second opinion on a recording: what FFmpeg makes of it, and how ours differs."""

from __future__ import annotations

import io

import av
import numpy as np

__all__ = ["compare", "demuxer_of", "heard_by_ffmpeg"]

MOV = "mov,mp4,m4a,3gp,3g2,mj2"
# By the container as libsndfile calls it, or the kind of pyav_encoder.
DEMUXERS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "FLAC": "flac",
    "OGG": "ogg",
    "MP3": "mp3",
    "AIFF": "aiff",
    "CAF": "caf",
    "AU": "au",
    "W64": "w64",
    "AVR": "avr",
    "IRCAM": "ircam",
    "NIST": "nistsphere",
    "SVX": "iff",
    "VOC": "voc",
    "WVE": "wve",
    "m4a": MOV,
    "mov": MOV,
    "3gp": MOV,
    "webm": "matroska,webm",
    "mka": "matroska,webm",
    "mkv": "matroska,webm",
    "wma": "asf",
    "aac": "aac",
    "ts": "mpegts",
    "ac3": "ac3",
    "eac3": "eac3",
    "amr": "amr",
    "wv": "wv",
    "avi": "avi",
}
# Where the two decoders are known to round otherwise; else half a step of 16 bits is allowed.
TOLERANCES = {"MS_ADPCM": 2.0**-5, "IMA_ADPCM": 2.0**-7}
TOLERANCE = 2.0**-15
# FFmpeg keeps the rest of the last block of Vorbis and of AAC in MP4, and libsndfile that of GSM.
LENGTHS = {"VORBIS": 2048, "GSM610": 320, "m4a": 1024, "fragments.m4a": 1024}
NO_OPINION = ("G721_32", "NMS_ADPCM_16")  # FFmpeg takes their bits in another order


def demuxer_of(container: str, subtype: str) -> str | None:
    """FFmpeg's name of its reader; ``None`` where it has none, or another idea of the format."""
    if subtype in NO_OPINION:
        return None
    return DEMUXERS.get(container or subtype.split(".")[-1])


def _no_other_file(url: str, flags: int, options: object) -> None:
    raise PermissionError(url)


def heard_by_ffmpeg(data: bytes, demuxer: str) -> tuple[np.ndarray, int] | None:
    """(time, channels) and the rate; ``None`` where FFmpeg meets any error, or nothing."""
    blocks: list[np.ndarray] = []
    try:
        with av.open(
            io.BytesIO(data), format=demuxer, metadata_errors="replace", io_open=_no_other_file
        ) as file:
            file.streams.audio[0].codec_context.thread_count = 1
            to_float = av.AudioResampler(format="flt")
            rate = None
            for frame in file.decode(audio=0):
                if rate not in (None, frame.sample_rate):
                    return None
                rate = frame.sample_rate
                for out in to_float.resample(frame):
                    blocks.append(out.to_ndarray().reshape(-1, out.layout.nb_channels))
        return (np.concatenate(blocks), rate) if blocks else None
    except Exception:  # whatever it says, it has no opinion
        return None


def compare(ours: np.ndarray, rate: int, theirs: np.ndarray, their_rate: int, subtype: str) -> str:
    """``"same"``, or in which way what was heard differs: rate, channels, samples or length.

    Args:
        ours: (time, channels).
        rate: In Hz.
        theirs: As `heard_by_ffmpeg` gives it.
        their_rate: In Hz.
        subtype: As libsndfile calls it, which says how far the two may be apart.
    """
    if ours.shape[1] != theirs.shape[1]:
        return "channels"
    if subtype == "OPUS":  # which libsndfile decodes at the rate that was encoded
        n = round(len(theirs) * rate / their_rate)
        return "same" if abs(len(ours) - n) <= 1 else "length"
    if rate != their_rate:
        return "rate"
    n = min(len(ours), len(theirs))
    tolerance = TOLERANCES.get(subtype, TOLERANCE)
    if not np.allclose(ours[:n], theirs[:n], rtol=0, atol=tolerance):
        return "samples"
    return "same" if abs(len(ours) - len(theirs)) <= LENGTHS.get(subtype, 0) else "length"
