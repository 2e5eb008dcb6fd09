"""Suffixes of recordings, to search folders by; files are recognised by their content."""

from __future__ import annotations

__all__ = ["AUDIO_SUFFIXES", "FFMPEG_SUFFIXES", "LIBSNDFILE_SUFFIXES"]

# In lower case. Suffixes that rarely mean sound are left out, such as .mat, .raw, .iff and .ts.
# fmt: off
LIBSNDFILE_SUFFIXES = (
    ".aif", ".aifc", ".aiff", ".au", ".bwf", ".caf", ".flac", ".mp1", ".mp2", ".mp3", ".mpga",
    ".nist", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".sph", ".voc", ".w64", ".wav",
    ".wave",
)
# Formats that need the extra "formats". They are found without it too, and refused with an error
# that says how to read them.
FFMPEG_SUFFIXES = (
    ".3g2", ".3ga", ".3gp", ".aac", ".ac3", ".amr", ".asf", ".avi", ".awb", ".eac3", ".ec3",
    ".m2ts", ".m4a", ".m4b", ".m4r", ".m4v", ".mka", ".mkv", ".mov", ".mp4", ".mts", ".qt",
    ".weba", ".webm", ".wma", ".wmv", ".wv",
)
# fmt: on
AUDIO_SUFFIXES = tuple(sorted((*LIBSNDFILE_SUFFIXES, *FFMPEG_SUFFIXES)))
