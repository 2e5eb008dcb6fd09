"""Scenes of several sounds over a background, with what sounds when: made on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from soundsep.augment.acoustics import equaliser, noise, room_response
from soundsep.config import Config
from soundsep.datasets.seed import check_seed
from soundsep.datasets.sounds import (
    FRAME_SECONDS,
    MAX_GAP_SECONDS,
    Sound,
    band_energies,
    close_gaps,
    prepare_sound,
)
from soundsep.errors import ConfigError, DatasetError

__all__ = ["Scene", "SceneEvent", "SoundscapeConfig", "Soundscapes"]

SPEEDS = ((1, 1), (9, 8), (17, 16), (15, 16), (8, 9))  # the first is used where none is asked for
AUDIBLE_DB = -6.0  # against all the rest, in the band where a sound stands out most
MIN_AUDIBLE = 0.25  # share of a sound's frames that are to be heard, or it does not count
FADE_SECONDS = 0.01
N_TRIES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundscapeConfig(Config):
    """What a scene is made of. All ranges are drawn from uniformly.

    Attributes:
        sample_rate: Of the clips and the scenes, in Hz.
        seconds: Length of a scene.
        n_sounds: Shares of the scenes with 0, 1, 2, ... sounds; they sum to 1.
        clip_share: Share of the scenes that are one whole clip with hardly any background, as a
            benchmark of single clips has them; outside the counts of ``n_sounds``.
        level_db: Range of a sound's level over the first sound of its scene.
        snr_db: Range of the first sound's level over the background.
        cut: Largest share of a sound that the ends of the scene may cut off, 0 to 0.9.
        part_share: Share of the sounds that are shortened to a part of at least half a second.
        speed_share: Share of the sounds that are played up to an eighth faster or slower.
        stranger_share: Share of the scenes with a sound of none of the labels.
        silent_share: Share of the scenes without any background.
        real_share: Share of the backgrounds that are real, where there are real ones.
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

    def __post_init__(self) -> None:
        """Reject what cannot be made.

        Raises:
            ConfigError: a value is out of range.
        """
        if not self.n_sounds or min(self.n_sounds) < 0 or abs(sum(self.n_sounds) - 1) > 1e-6:
            raise ConfigError("SoundscapeConfig.n_sounds must be shares that sum to 1")
        for name in ("level_db", "snr_db", "t60_seconds", "clip_db", "gain_db"):
            value = getattr(self, name)
            if len(value) != 2 or not value[0] <= value[1]:
                raise ConfigError(f"SoundscapeConfig.{name} must be (lowest, highest): {value}")
        for name in (
            "clip_share",
            "part_share",
            "speed_share",
            "stranger_share",
            "silent_share",
            "real_share",
            "reverb_share",
            "device_share",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"SoundscapeConfig.{name} must be from 0 to 1")
        if not 0 <= self.cut <= 0.9 or not 0.5 <= self.seconds <= 3_600:
            raise ConfigError("SoundscapeConfig needs cut 0 to 0.9 and seconds 0.5 to 3600")
        if not 8_000 <= self.sample_rate <= 192_000 or self.sample_rate % 50:
            raise ConfigError(
                "SoundscapeConfig.sample_rate must be a multiple of 50 from 8000 to 192000"
            )

    @property
    def n_frames(self) -> int:
        """Length in frames of `FRAME_SECONDS`."""
        return round(self.seconds / FRAME_SECONDS)

    @property
    def n_samples(self) -> int:
        """Length in samples."""
        return self.n_frames * round(FRAME_SECONDS * self.sample_rate)


@dataclass(frozen=True, slots=True)
class SceneEvent:
    """One sound of a scene that can be heard.

    Attributes:
        start_seconds: From the beginning of the scene.
        end_seconds: Likewise.
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
        events: What can be heard, by start.
        active: Target of each sound that counts and where it sounds, (n_frames,) in frames of
            `FRAME_SECONDS`.
        hidden: Likewise where a sound goes on but cannot be heard over the rest, and the sounds
            that cannot be heard at all.
        clips: Indices of the clips that can be heard.
        strangers: Indices of the strangers.
        is_clip: The scene is one whole clip.
    """

    waveform: Tensor
    events: tuple[SceneEvent, ...]
    active: tuple[tuple[int, NDArray[np.bool_]], ...]
    hidden: tuple[tuple[int, NDArray[np.bool_]], ...]
    clips: tuple[int, ...]
    strangers: tuple[int, ...]
    is_clip: bool

    def frame_targets(self, n_classes: int, n_frames: int, frame: int) -> tuple[Tensor, Tensor]:
        """Presence and weight of every class in longer frames, each centred on its time.

        Args:
            n_classes: Number of classes.
            n_frames: Number of long frames.
            frame: Length of one, in frames of `FRAME_SECONDS`.

        Shape:
            Returns two tensors (n_frames, n_classes): 1 where a class sounds in at least half of
            the frame, and 0 in the second where nobody could tell.
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


@dataclass(slots=True)
class _Placed:
    """A sound on the time line of a scene."""

    target: int  # -1 for a stranger
    clip: int
    sound: Sound
    first: int  # frames, from the scene's beginning; below 0 where its beginning is cut
    offset: int  # frames of the sound that are left out
    length: int  # frames
    gain: float = 1.0


class Soundscapes(Sequence[Scene]):
    """A list of scenes, each made when it is asked for.

    What is in a scene follows from the seed and its place in the list alone. Classes are drawn
    alike often, then a clip of the class. Give the clips of the training folds to one list and
    those of the test fold to another, as `FoldedClips.split` divides them.

    Args:
        examples: Waveform (time,) at ``config.sample_rate`` and class of every clip, as
            `load_examples` gives them.
        n_scenes: Length of the list.
        seed: Of everything random.
        config: What scenes are made of.
        backgrounds: Real ones, waveforms (time,).
        strangers: Sounds of none of the classes, waveforms (time,).

    Raises:
        DatasetError: no clip holds a sound.
        ConfigError: the seed is not one.
    """

    def __init__(
        self,
        examples: Sequence[tuple[Tensor, int]],
        *,
        n_scenes: int,
        seed: int = 0,
        config: SoundscapeConfig | None = None,
        backgrounds: Sequence[Tensor] = (),
        strangers: Sequence[Tensor] = (),
    ) -> None:
        check_seed(seed)
        self.examples, self.n_scenes, self.seed = examples, n_scenes, seed
        self.config = config or SoundscapeConfig()
        self.backgrounds, self.strangers = backgrounds, strangers
        by_class: dict[int, list[int]] = {}
        for index, (_, target) in enumerate(examples):
            by_class.setdefault(target, []).append(index)
        if not by_class:
            raise DatasetError("there are no clips to make scenes of")
        self._by_class = [by_class[target] for target in sorted(by_class)]
        self._prepared: dict[tuple[str, int, int], Sound | None] = {}

    def __len__(self) -> int:
        return self.n_scenes

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]  # slices are not taken
        """The scene at a place in the list.

        Raises:
            IndexError: there is no such place.
            DatasetError: hardly anything but silence is to be found in the clips.
        """
        if not 0 <= index < self.n_scenes:
            raise IndexError(f"there are {self.n_scenes} scenes, got {index}")
        rng = np.random.default_rng((self.seed, index))
        config = self.config
        is_clip = bool(rng.random() < config.clip_share)
        n_sounds = 1 if is_clip else int(rng.choice(len(config.n_sounds), p=config.n_sounds))
        placed = [self._draw(rng, is_clip=is_clip) for _ in range(n_sounds)]
        base = placed[0].sound.level if placed else 1e-3
        for item in placed[1:]:
            item.gain = _gain(item.sound.level, base, rng.uniform(*config.level_db))
        background = self._background(rng, base, is_clip=is_clip)
        stranger_share = 0.0 if is_clip else config.stranger_share + (not n_sounds) * 0.4
        if self.strangers and rng.random() < stranger_share:
            stranger = self._stranger(rng)
            stranger.gain = _gain(stranger.sound.level, base, rng.uniform(*config.level_db))
            placed.append(stranger)
        known, active, hidden, events = self._truth(placed, background)
        waveform = self._mixed(rng, placed, background, is_clip=is_clip)
        return Scene(
            waveform=torch.from_numpy(waveform),
            events=tuple(sorted(events, key=lambda e: (e.start_seconds, e.target))),
            active=tuple(active),
            hidden=tuple(hidden),
            clips=tuple(known),
            strangers=tuple(item.clip for item in placed if item.target < 0),
            is_clip=is_clip and len(known) == 1,
        )

    def _sound(self, kind: str, index: int, speed: int) -> Sound | None:
        key = (kind, index, speed)
        if key not in self._prepared:
            waveform = self.strangers[index] if kind == "stranger" else self.examples[index][0]
            self._prepared[key] = prepare_sound(
                waveform.numpy(), self.config.sample_rate, speed=SPEEDS[speed]
            )
        return self._prepared[key]

    def _speed(self, rng: np.random.Generator) -> int:
        return int(rng.integers(1, 5)) if rng.random() < self.config.speed_share else 0

    def _draw(self, rng: np.random.Generator, *, is_clip: bool) -> _Placed:
        for _ in range(N_TRIES):
            clips = self._by_class[int(rng.integers(len(self._by_class)))]
            clip = clips[int(rng.integers(len(clips)))]
            sound = self._sound("clip", clip, self._speed(rng))
            if sound is None:
                continue
            target = self.examples[clip][1]
            if is_clip:
                length = min(len(sound.is_active), self.config.n_frames)
                room = self.config.n_frames - length
                first = int(rng.integers(room + 1)) if rng.random() < 0.5 else 0
                return _Placed(target, clip, sound, first, 0, length)
            return self._place(rng, target, clip, sound)
        raise DatasetError(f"{N_TRIES} clips drawn in turn hold nothing but silence")

    def _place(
        self, rng: np.random.Generator, target: int, clip: int, sound: Sound
    ) -> _Placed:
        length, offset = len(sound.is_active), 0
        shortest = round(0.5 / FRAME_SECONDS)
        if length > shortest and rng.random() < self.config.part_share:
            part = int(rng.integers(shortest, length + 1))
            offset, length = int(rng.integers(length - part + 1)), part
        n_frames = self.config.n_frames
        if length > n_frames:
            offset += int(rng.integers(length - n_frames + 1))
            length = n_frames
        cut = int(self.config.cut * length)
        first = int(rng.integers(-cut, n_frames - length + cut + 1))
        return _Placed(target, clip, sound, first, offset, length)

    def _stranger(self, rng: np.random.Generator) -> _Placed:
        for _ in range(N_TRIES):
            index = int(rng.integers(len(self.strangers)))
            sound = self._sound("stranger", index, self._speed(rng))
            if sound is not None:
                return self._place(rng, -1, index, sound)
        raise DatasetError(f"{N_TRIES} strangers drawn in turn hold nothing but silence")

    def _background(
        self, rng: np.random.Generator, base: float, *, is_clip: bool
    ) -> NDArray[np.float32]:
        config = self.config
        if rng.random() < (0.7 if is_clip else config.silent_share):
            return np.zeros(config.n_samples, np.float32)
        if self.backgrounds and not is_clip and rng.random() < config.real_share:
            whole = self.backgrounds[int(rng.integers(len(self.backgrounds)))].numpy()
            start = int(rng.integers(len(whole)))
            places = np.arange(start, start + config.n_samples)
            background = whole.take(places, mode="wrap").astype(np.float32)
            if rng.random() < 0.5:
                background = background[::-1].copy()
        else:
            background = noise(rng, config.n_samples, config.sample_rate)
        power = float(np.mean(np.square(background))) or 1.0
        snr = rng.uniform(25, 50) if is_clip else rng.uniform(*config.snr_db)
        return background * np.float32(_gain(power, base, -snr))

    def _truth(
        self, placed: Sequence[_Placed], background: NDArray[np.float32]
    ) -> tuple[
        list[int],
        list[tuple[int, NDArray[np.bool_]]],
        list[tuple[int, NDArray[np.bool_]]],
        list[SceneEvent],
    ]:
        n_frames = self.config.n_frames
        energies = [_on_line(item, n_frames) for item in placed]
        total = band_energies(background, self.config.sample_rate) + 1e-12
        for energy in energies:
            total = total + energy
        known: list[int] = []
        active: list[tuple[int, NDArray[np.bool_]]] = []
        hidden: list[tuple[int, NDArray[np.bool_]]] = []
        events: list[SceneEvent] = []
        ratio = 10 ** (AUDIBLE_DB / 10)
        for item, energy in zip(placed, energies, strict=True):
            if item.target < 0:
                continue
            sounds = np.zeros(n_frames, np.bool_)
            start, stop = max(0, item.first), min(n_frames, item.first + item.length)
            skipped = item.offset - item.first
            sounds[start:stop] = item.sound.is_active[start + skipped : stop + skipped]
            audible = sounds & (energy > ratio * (total - energy)).any(axis=0)
            if audible.sum() < max(3, MIN_AUDIBLE * sounds.sum()):
                hidden.append((item.target, sounds))
                continue
            heard = close_gaps(audible, round(MAX_GAP_SECONDS / FRAME_SECONDS)) & sounds
            known.append(item.clip)
            active.append((item.target, heard))
            hidden.append((item.target, sounds & ~heard))
            events += [
                SceneEvent(a * FRAME_SECONDS, b * FRAME_SECONDS, item.target, item.clip)
                for a, b in _runs(sounds)
                if heard[a:b].any()
            ]
        return known, active, hidden, events

    def _mixed(
        self,
        rng: np.random.Generator,
        placed: Sequence[_Placed],
        background: NDArray[np.float32],
        *,
        is_clip: bool,
    ) -> NDArray[np.float32]:
        config = self.config
        hop = round(FRAME_SECONDS * config.sample_rate)
        n_samples, n_fade = config.n_samples, round(FADE_SECONDS * config.sample_rate)
        mixed = np.zeros(n_samples, np.float32)
        for item in placed:
            start = max(0, item.first)
            skipped = item.offset + start - item.first
            end = item.offset + item.length
            piece = item.sound.waveform[skipped * hop : end * hop][: n_samples - start * hop]
            piece = piece * np.float32(item.gain)
            n = min(n_fade, len(piece) // 2)
            if n:
                ramp = np.linspace(0, 1, n, dtype=np.float32)
                piece[:n] *= ramp
                piece[-n:] *= ramp[::-1]
            mixed[start * hop : start * hop + len(piece)] += piece
        in_room = not is_clip and rng.random() < config.reverb_share
        has_device = rng.random() < config.device_share
        if in_room or has_device:
            n_fft = fft.next_fast_len(n_samples + 2 * config.sample_rate, real=True)
            spectrum = fft.rfft(mixed, n_fft)
            if in_room:
                response = room_response(
                    rng,
                    sample_rate=config.sample_rate,
                    t60_seconds=rng.uniform(*config.t60_seconds),
                    direct_db=rng.uniform(-8, 10),
                )
                spectrum = spectrum * fft.rfft(response, n_fft)
            spectrum += fft.rfft(background, n_fft)
            if has_device:
                spectrum *= self._device(rng, n_fft, is_clip=is_clip)
            mixed = fft.irfft(spectrum, n_fft)[:n_samples].astype(np.float32)
        else:
            mixed = mixed + background
        peak = float(np.abs(mixed).max())
        if peak <= 0:
            return mixed
        if rng.random() < 0.05:
            over = 10 ** (rng.uniform(*config.clip_db) / 20) / peak
            mixed = np.clip(mixed * np.float32(over), -1, 1)
            peak = 1.0
        mixed = mixed * np.float32(10 ** (rng.uniform(*config.gain_db) / 20) / peak)
        if rng.random() < 0.5:
            mixed = np.round(mixed * 32_768) / np.float32(32_768)
        return mixed.astype(np.float32)

    def _device(
        self, rng: np.random.Generator, n_fft: int, *, is_clip: bool
    ) -> NDArray[np.float32]:
        rate = self.config.sample_rate
        low, high = rng.uniform(20, 150), rng.uniform(0.3, 0.5) * rate
        if not is_clip and rng.random() < 0.25:
            low, high = rng.uniform(100, 350), rng.uniform(3_000, 4_500)
        hz = np.fft.rfftfreq(n_fft, 1 / rate)
        return equaliser(rng, hz, max_db=rng.uniform(0, 9), low_hz=low, high_hz=high)


def _gain(level: float, base: float, level_db: float) -> float:
    """Factor that brings a mean power to so many dB over another."""
    return float(np.sqrt(base / level) * 10 ** (level_db / 20))


def _on_line(item: _Placed, n_frames: int) -> NDArray[np.float32]:
    """Energy of a placed sound over the whole scene, (n_bands, n_frames)."""
    energy = np.zeros((len(item.sound.energy), n_frames), np.float32)
    start, stop = max(0, item.first), min(n_frames, item.first + item.length)
    skipped = item.offset - item.first
    energy[:, start:stop] = item.sound.energy[:, start + skipped : stop + skipped]
    return energy * np.float32(item.gain**2)


def _runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last + 1 of each run of true values."""
    steps = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]
