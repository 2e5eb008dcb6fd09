"""The settings of generated scenes, and what a scene holds."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.config import Config, check_number, check_range, check_span
from soundsep.datasets.sounds import FRAME_SECONDS
from soundsep.errors import ConfigError

__all__ = ["LONG_SCENES", "Scene", "SceneEvent", "SoundscapeConfig"]

MAX_T60_SECONDS = 60.0  # no hall on Earth has more by much, and all of it is held in memory


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundscapeConfig(Config):
    """What a scene is made of. All ranges are drawn from uniformly.

    Attributes:
        sample_rate: Rate of the clips and the scenes, in Hz.
        seconds: Length of a scene.
        n_sounds: Shares of the scenes with 0, 1, 2, ... sounds; they sum to 1.
        sounds_per_minute: For long scenes: number of sounds per minute, instead of ``n_sounds``,
            anywhere in the scene.
        max_at_once: Most sounds at any time if ``sounds_per_minute`` is given, strangers
            included. A sound that does not fit is left out.
        clip_share: Share of the scenes that are one whole clip with hardly any background, as a
            benchmark of single clips has them; outside the counts of ``n_sounds``.
        level_db: Range of a sound's level over the first sound of its scene.
        snr_db: Range of the first sound's level over the background.
        cut: Largest share of a sound that the ends of the scene may cut off, 0 to 0.9.
        part_share: Share of the sounds that are shortened to a part of at least half a second.
        speed_share: Share of the sounds that are played up to an eighth faster or slower.
        stranger_share: Share of the scenes with a sound of none of the labels; if
            ``sounds_per_minute`` is given, strangers per sound.
        silent_share: Share of the scenes without any background.
        real_share: Share of the backgrounds that are real, if real ones are given.
        reverb_share: Share of the scenes in a room.
        t60_seconds: Range of its reverberation time.
        device_share: Share of the scenes recorded by a device with bends in its response, some with
            a narrow band.
        clip_db: Range of how far the loudest sample exceeds full scale in one scene of twenty.
        gain_db: Range of the peak level of a scene, in dBFS.
    """

    sample_rate: int = 16_000
    seconds: float = 10.0
    n_sounds: tuple[float, ...] = (0.1, 0.3, 0.3, 0.2, 0.1)
    sounds_per_minute: float | None = None
    max_at_once: int = 4
    clip_share: float = 0.0
    level_db: tuple[float, ...] = (-10.0, 10.0)
    snr_db: tuple[float, ...] = (-10.0, 25.0)
    cut: float = 0.0
    part_share: float = 0.0
    speed_share: float = 0.0
    stranger_share: float = 0.2
    silent_share: float = 0.1
    real_share: float = 0.5
    reverb_share: float = 0.3
    t60_seconds: tuple[float, ...] = (0.1, 1.0)
    device_share: float = 0.3
    clip_db: tuple[float, ...] = (0.0, 10.0)
    gain_db: tuple[float, ...] = (-50.0, 0.0)

    def _check(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: a value is out of range.
        """
        given = self.n_sounds if isinstance(self.n_sounds, (tuple, list)) else ()
        shares = [check_number("SoundscapeConfig.n_sounds", share, least=0) for share in given]
        if not shares or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError("SoundscapeConfig.n_sounds must be shares that sum to 1")
        check_span(self, "level_db", "snr_db", "clip_db", "gain_db")
        check_span(self, "t60_seconds", above=0, most=MAX_T60_SECONDS)
        names = (field.name for field in fields(self) if field.name.endswith("_share"))
        check_range(self, *names, least=0, most=1)
        check_range(self, "sounds_per_minute", above=0, most=60)
        check_range(self, "max_at_once", least=1, most=16)
        check_range(self, "cut", least=0, most=0.9)
        check_range(self, "seconds", least=0.5, most=3_600)
        check_range(self, "sample_rate", least=8_000, most=192_000)
        if self.sample_rate % 50:
            raise ConfigError(
                f"SoundscapeConfig.sample_rate must be a multiple of 50, got {self.sample_rate}"
            )

    @property
    def n_frames(self) -> int:
        """Length in frames of `FRAME_SECONDS`."""
        return round(self.seconds / FRAME_SECONDS)

    @property
    def n_samples(self) -> int:
        """Length in samples."""
        return self.n_frames * round(FRAME_SECONDS * self.sample_rate)


#: Ten minutes with two sounds per minute, well above the background: the usual input of
#: `soundsep.evaluation.measure_events`.
LONG_SCENES = SoundscapeConfig(
    seconds=600.0,
    sounds_per_minute=2.0,
    level_db=(-5.0, 5.0),
    snr_db=(10.0, 25.0),
    silent_share=0.0,
    real_share=1.0,
    reverb_share=0.0,
    device_share=0.0,
    gain_db=(-20.0, -3.0),
)


@dataclass(frozen=True, slots=True)
class SceneEvent:
    """One sound of a scene that can be heard.

    Attributes:
        start_seconds: Start, from the beginning of the scene.
        end_seconds: End, from the beginning of the scene.
        target: Index of its class.
        clip: Index of the clip it was made from.
    """

    start_seconds: float
    end_seconds: float
    target: int
    clip: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scene:
    """A mixture and its truth.

    Attributes:
        waveform: (time,).
        events: The audible sounds, by start.
        active: Target of each sound that counts and where it sounds, (n_frames,) in frames of
            `FRAME_SECONDS`.
        hidden: The same where a sound is inaudible under the others, and for sounds that are
            inaudible throughout.
        clips: Indices of the audible clips.
        strangers: Indices of the strangers.
        is_clip: Whether the scene is one whole clip.
    """

    waveform: Tensor
    events: tuple[SceneEvent, ...]
    active: tuple[tuple[int, NDArray[np.bool_]], ...]
    hidden: tuple[tuple[int, NDArray[np.bool_]], ...]
    clips: tuple[int, ...]
    strangers: tuple[int, ...]
    is_clip: bool

    def __repr__(self) -> str:
        """What it holds."""
        counts = f"{len(self.events)} events, {len(self.strangers)} strangers"
        return f"Scene({len(self.waveform)} samples, {counts})"

    def frame_targets(self, n_classes: int, n_frames: int, frame: int) -> tuple[Tensor, Tensor]:
        """Presence and weight of every class in longer frames, each centred on its time.

        Args:
            n_classes: Number of classes.
            n_frames: Number of long frames.
            frame: Length of one, in frames of `FRAME_SECONDS`.

        Shape:
            Returns two tensors (n_frames, n_classes): 1 where a class sounds in at least half of
            the frame, and 0 in the second where the class may be hidden.
        """
        presence, weight = np.zeros((2, n_frames, n_classes), np.float32)
        weight += 1
        for rows, value in ((self.hidden, 0), (self.active, 1)):
            for target, active in rows:
                padded = np.zeros(n_frames * frame + frame, np.float32)
                kept = active[: len(padded) - frame // 2]
                padded[frame // 2 : frame // 2 + len(kept)] = kept
                share = padded[: n_frames * frame].reshape(n_frames, frame).mean(axis=1)
                if value:
                    presence[:, target] = np.maximum(presence[:, target], share >= 0.5)
                else:
                    weight[share > 0, target] = 0
        weight[presence > 0] = 1
        return torch.from_numpy(presence), torch.from_numpy(weight)
