"""Sound for a web page, as reproducible Ogg Opus."""

from __future__ import annotations

from torch import Tensor

from soundsep.audio import resample
from soundsep.audio.encode import file_bytes

__all__ = ["BYTES_PER_SECOND", "opus_bytes"]

OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz
COMPRESSION = 0.87  # of libsndfile, 0 to 1: about 36 kbit/s per channel
BYTES_PER_SECOND = 5_500  # upper limit for natural sounds

# Places in the header of an Ogg page (RFC 3533).
SERIAL, CHECKSUM, N_SEGMENTS, HEADER = 14, 22, 26, 27
POLYNOMIAL = 0x04C11DB7


def opus_bytes(waveform: Tensor, rate: int) -> bytes:
    """A sound as an Ogg Opus file.

    Args:
        waveform: Sound of one channel, (time,).
        rate: Rate of the sound in Hz; it is resampled if Opus lacks it.
    """
    target = next((known for known in OPUS_RATES if known >= rate), OPUS_RATES[-1])
    samples = resample(waveform, rate, target).clamp(-1, 1)
    return _without_serial(
        file_bytes(samples, target, container="OGG", subtype="OPUS", compression_level=COMPRESSION)
    )


def _without_serial(data: bytes) -> bytes:
    """The file with the stream number 0, which libsndfile draws from the clock."""
    out, at = bytearray(data), 0
    while at < len(out):
        body = at + HEADER + out[at + N_SEGMENTS]
        end = body + sum(out[at + HEADER : body])
        out[at + SERIAL : at + SERIAL + 4] = bytes(4)
        out[at + CHECKSUM : at + CHECKSUM + 4] = bytes(4)
        checksum = _crc(out[at:end]).to_bytes(4, "little")
        out[at + CHECKSUM : at + CHECKSUM + 4] = checksum
        at = end
    return bytes(out)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (POLYNOMIAL if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_TABLE = _crc_table()


def _crc(page: bytes | bytearray) -> int:
    """The checksum of Ogg, whose bits are in the reverse order of zlib's."""
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value
