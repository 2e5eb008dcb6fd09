"""Any recording to float32 tensors: decode, check, downmix, resample.

Whatever is wrong with a file or an array becomes an `AudioError` that says what to do.
"""

from __future__ import annotations

from soundsep.audio.arrays import is_array
from soundsep.audio.blocks import AudioBlocks, audio_blocks
from soundsep.audio.checks import AudioInput
from soundsep.audio.clock import recording_start
from soundsep.audio.find import FoundRecordings, find_recordings, passed_over
from soundsep.audio.load import load_audio
from soundsep.audio.mixdown import Mixer
from soundsep.audio.resampling import StreamingResampler, resample
from soundsep.audio.suffixes import AUDIO_SUFFIXES

__all__ = [
    "AUDIO_SUFFIXES",
    "AudioBlocks",
    "AudioInput",
    "FoundRecordings",
    "Mixer",
    "StreamingResampler",
    "audio_blocks",
    "find_recordings",
    "is_array",
    "load_audio",
    "passed_over",
    "recording_start",
    "resample",
]
