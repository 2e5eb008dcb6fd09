"""From a recording to what is classified: its own windows and those of its sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from soundsep.audio import AudioInput, load_audio, resample
from soundsep.audio.inputs import name_of
from soundsep.audio.load import read_audio
from soundsep.audio.mixdown import to_mono
from soundsep.classifier import ClassifierLike
from soundsep.classifier.audible import audible_windows, clip_gain
from soundsep.errors import AudioError
from soundsep.pipeline.mixtures import MIXTURE, audible_sources
from soundsep.separator import Separation, Separator

__all__ = ["Heard", "hear", "silence_error"]


class Heard(NamedTuple):
    """The windows of a recording.

    Attributes:
        duration_seconds: Length of the recording.
        windows: The windows that are not silent, of the recording itself first, then of its
            sources. Empty if all is silent.
        separation: The separated recording, if asked for and not silent.
    """

    duration_seconds: float
    windows: dict[str, list[Tensor]]
    separation: Separation | None


def hear(
    audio: AudioInput,
    classifier: ClassifierLike,
    *,
    separator: Separator | None,
    silence_db: float | None,
    sample_rate: int | None,
    channel: int | None,
    load: Callable[[], Tensor] | None = None,
) -> Heard:
    """Read a recording, and separate it if there is a separator.

    Without one, ``load`` gives its waveform where it is read elsewhere.

    Raises:
        AudioError: the recording cannot be read, is too short, or is digital silence without
            ``silence_db``.
    """
    target = classifier.sample_rate
    if separator is None and load is not None:
        waveform = load()
    elif separator is None:
        waveform, _ = load_audio(
            audio, sample_rate=sample_rate, target_rate=target, channel=channel
        )
    else:
        # The separator gets the recording itself, not what the classifier's rate leaves of it.
        is_mono = separator.config.n_channels == 1
        given, rate = read_audio(audio, sample_rate=sample_rate, mono=is_mono, channel=channel)
        waveform = resample(to_mono(given, rate), rate, target)
    if waveform.shape[0] < (shortest := classifier.config.min_samples):
        raise AudioError(
            f"{name_of(audio)} is too short to analyse: {waveform.shape[0] / target:.4f} s, at "
            f"least {shortest / target:.3f} s are needed"
        )
    duration = waveform.shape[0] / target
    gain = clip_gain(classifier, waveform)  # of the sources too
    windows = audible_windows(classifier, waveform, silence_db, gain=gain)
    if not windows:
        if silence_db is None:
            raise silence_error(audio)
        return Heard(duration, {}, None)
    if separator is None:
        return Heard(duration, {MIXTURE: windows}, None)
    separation = separator(given, rate, progress=False)
    sources = {
        name: audible_windows(classifier, source, silence_db, gain=gain)
        for name, source in audible_sources(separation, target).items()
    }
    audible = {name: windows for name, windows in sources.items() if windows}
    return Heard(duration, {MIXTURE: windows, **audible}, separation)


def silence_error(audio: object) -> AudioError:
    """The error for a recording that is digital silence."""
    return AudioError(
        f"{name_of(audio)} is digital silence, so there is nothing to name; check the "
        "recorder, its input and its level"
    )
