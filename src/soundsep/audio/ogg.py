"""Properties of an Ogg file that libsndfile does not report."""

from __future__ import annotations

from soundsep.audio.file import AudioFile, UnreadableError

__all__ = ["settle_ogg"]

HEADER, MAX_SEGMENTS = 27, 255  # bytes
GRANULE, NO_PACKET_ENDS = slice(6, 14), 2**64 - 1
N_SEGMENTS, FLAGS, BEGINNING = 26, 5, 0x02  # positions in the header, and a flag


def settle_ogg(file: AudioFile) -> int | None:
    """Refuse an Ogg file of several streams one after the other; leave out junk after its end.

    All pages are read from the start; damage ends the search. Streams that are played together all
    begin before one of them continues.

    Args:
        file: Open file, which is narrowed.

    Returns:
        The last position that a page states, in samples (for Opus, at 48 kHz); ``None`` if the
        search ended before the last page.

    Raises:
        UnreadableError: libsndfile would read only the first stream.
        AudioError: the file cannot be read.

    References:
        Pfeiffer (2003), "The Ogg encapsulation format version 0", RFC 3533, sections 4 and 6.
    """
    page = bytearray(HEADER + MAX_SEGMENTS)
    position, goes_on, stated = 0, False, 0
    while True:
        file.seek(position)
        n_read = file.readinto(page)
        if n_read < HEADER or not page.startswith(b"OggS"):
            break
        begins = bool(page[FLAGS] & BEGINNING)
        if begins and goes_on:
            raise UnreadableError("several Ogg streams one after the other")
        goes_on |= not begins
        granule = int.from_bytes(page[GRANULE], "little")
        stated = max(stated, granule if granule != NO_PACKET_ENDS else 0)
        end = HEADER + page[N_SEGMENTS]
        position += end + sum(page[HEADER:end])
    if 0 < position < file.size and not file.contains(b"OggS", position):
        file.narrow(0, position)
    return stated if 0 < position == file.size else None
