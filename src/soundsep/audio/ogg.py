"""What libsndfile does not tell of an Ogg file."""

from __future__ import annotations

from soundsep.audio.file import AudioFile

__all__ = ["is_chained_ogg"]

HEADER, MOST_SEGMENTS = 27, 255  # bytes
N_SEGMENTS, FLAGS, BEGINNING = 26, 5, 0x02  # places in the header, and a flag


def is_chained_ogg(file: AudioFile) -> bool:
    """Whether this is Ogg in which a stream begins after another went on.

    It is looked through from its start, page by page; damage ends the search. Streams that are
    played together all begin before one of them goes on.

    References:
        Pfeiffer (2003), "The Ogg encapsulation format version 0", RFC 3533, sections 4 and 6.
    """
    page = bytearray(HEADER + MOST_SEGMENTS)
    position, goes_on = 0, False
    while True:
        file.seek(position)
        if file.readinto(page) < HEADER or not page.startswith(b"OggS"):
            return False
        begins = bool(page[FLAGS] & BEGINNING)
        if begins and goes_on:
            return True
        goes_on |= not begins
        end = HEADER + page[N_SEGMENTS]
        position += end + sum(page[HEADER:end])
