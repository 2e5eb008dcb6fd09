"""Scenes of several sounds over a background, with their events, made on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from soundsep.augment.acoustics import noise
from soundsep.config import check_seed, check_whole
from soundsep.datasets._scene_mixing import PlacedSound, between, mix, power_gain, tell_truth
from soundsep.datasets.clip import FoldedClips, checked_targets
from soundsep.datasets.leakage import without_origins_of
from soundsep.datasets.memory import load_examples
from soundsep.datasets.scene import Scene, SceneEvent, SoundscapeConfig
from soundsep.datasets.sounds import FRAME_SECONDS, Sound, prepare_sound
from soundsep.errors import ConfigError, DatasetError

__all__ = ["Scene", "SceneEvent", "SoundscapeConfig", "Soundscapes"]

SPEEDS = ((1, 1), (9, 8), (17, 16), (15, 16), (8, 9))  # the first is the default
N_TRIES = 50
MAX_KEPT_BYTES = 4 * 2**30  # of sounds at other speeds; all 2000 clips of ESC-50 take 2.2 GB


class Soundscapes(Sequence[Scene], Dataset[Scene]):
    """A list of scenes, each made when it is accessed.

    A scene depends only on the seed and its index. Classes are drawn equally often, then a clip of
    the class. Give the clips of the training folds to one list and those of the test fold to
    another, as `FoldedClips.split` divides them.

    Args:
        examples: Waveform (time,) at ``config.sample_rate`` and class of every clip, as
            `load_examples` returns them.
        n_scenes: Length of the list.
        seed: Seed of all random numbers.
        config: Settings of the scenes.
        backgrounds: Real backgrounds, waveforms (time,).
        strangers: Sounds of none of the classes, waveforms (time,).

    Raises:
        DatasetError: no clip holds a sound.
        ConfigError: the seed is invalid.
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
        check_whole("n_scenes", n_scenes, least=0)
        self.examples = examples
        self.n_scenes, self.seed = n_scenes, seed
        self.config = config or SoundscapeConfig()
        self.backgrounds, self.strangers = backgrounds, strangers
        by_class: dict[int, list[int]] = {}
        for index, target in enumerate(checked_targets("Soundscapes", examples)):
            by_class.setdefault(target, []).append(index)
        if not by_class:
            raise DatasetError("there are no clips to make scenes of")
        self._by_class = [by_class[target] for target in sorted(by_class)]
        self._prepared: dict[tuple[str, int, int], Sound | None] = {}
        self._n_kept_bytes = 0

    @classmethod
    def of_fold(
        cls,
        data: FoldedClips,
        fold: int,
        *,
        training: bool = False,
        n_scenes: int,
        seed: int = 0,
        config: SoundscapeConfig | None = None,
        backgrounds: Sequence[Tensor] = (),
        strangers: Sequence[Tensor] = (),
        cache: str | Path | None = None,
    ) -> Soundscapes:
        """The test scenes of a fold, fixed by the seed, or training scenes of all other folds.

        Clips that hold other labels too (``Clip.also``) are left out: a scene's events would not
        tell of them.

        Args:
            data: A data set with folds.
            fold: The held-out fold.
            training: Use the clips of all other folds, except those cut from a recording that is
                also in this fold.
            n_scenes: Length of the list.
            seed: Seed of all random numbers.
            config: Settings of the scenes.
            backgrounds: Real backgrounds, waveforms (time,).
            strangers: Sounds of none of the classes, waveforms (time,).
            cache: Folder to keep decoded clips in, as for `load_examples`.

        Raises:
            ConfigError: the fold does not exist, or the seed is invalid.
            DatasetError: there are no clips of one label.
            AudioError: a clip cannot be read.
        """
        config = config or SoundscapeConfig()
        test = [clip for clip in data.clips if clip.fold == fold]
        if not test or not fold:
            raise ConfigError(f"{data.name} has no clips in fold {fold}: {data.fold_numbers}")
        clips = without_origins_of(data.clips, test) if training else test
        alone = [clip for clip in clips if not clip.also]
        return cls(
            load_examples(alone, sample_rate=config.sample_rate, cache=cache),
            n_scenes=n_scenes,
            seed=seed,
            config=config,
            backgrounds=backgrounds,
            strangers=strangers,
        )

    def __repr__(self) -> str:
        """Number of scenes, what they are made of, and the seed."""
        what = f"{len(self)} of {len(self.examples)} clips"
        return f"Soundscapes({what}, {self.config.seconds} s each, seed {self.seed})"

    def __len__(self) -> int:
        return self.n_scenes

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]  # slices are not taken
        """The scene at an index of the list.

        Raises:
            IndexError: the index is out of range.
            DatasetError: the clips hold hardly anything but silence.
        """
        if not 0 <= index < self.n_scenes:
            raise IndexError(f"there are {self.n_scenes} scenes, got {index}")
        rng = np.random.default_rng((self.seed, index))
        config = self.config
        is_clip = bool(rng.random() < config.clip_share)
        if config.sounds_per_minute is not None and not is_clip:
            placed, strangers = self._along(rng, config.sounds_per_minute)
        else:
            n_sounds = 1 if is_clip else int(rng.choice(len(config.n_sounds), p=config.n_sounds))
            placed, strangers = [self._draw(rng, is_clip=is_clip) for _ in range(n_sounds)], []
        base = placed[0].sound.level if placed else 1e-3
        for item in placed[1:]:
            item.gain = power_gain(item.sound.level, base, between(rng, config.level_db))
        background = self._background(rng, base, is_clip=is_clip)
        if config.sounds_per_minute is None:
            stranger_share = 0.0 if is_clip else config.stranger_share + (not placed) * 0.4
            if self.strangers and rng.random() < stranger_share:
                strangers.append(self._stranger(rng))
        for item in strangers:
            item.gain = power_gain(item.sound.level, base, between(rng, config.level_db))
        placed += strangers
        truth = tell_truth(config, placed, background)
        waveform = mix(config, rng, placed, background, is_clip=is_clip)
        return Scene(
            waveform=torch.from_numpy(waveform),
            events=tuple(truth.events),
            active=tuple(truth.active),
            hidden=tuple(truth.hidden),
            clips=tuple(truth.clips),
            strangers=tuple(item.clip for item in placed if item.target < 0),
            is_clip=is_clip and len(truth.clips) == 1,
        )

    def _along(
        self, rng: np.random.Generator, per_minute: float
    ) -> tuple[list[PlacedSound], list[PlacedSound]]:
        """Sounds and strangers all along a scene, only so many at once."""
        n_sounds = round(per_minute * self.config.seconds / 60)
        n_strangers = int(rng.binomial(n_sounds, self.config.stranger_share))
        n_at_once = np.zeros(self.config.n_frames, np.int64)
        placed: list[PlacedSound] = []
        strangers: list[PlacedSound] = []
        for number in range(n_sounds + (n_strangers if self.strangers else 0)):
            for _ in range(N_TRIES):
                is_known = number < n_sounds
                item = self._draw(rng, is_clip=False) if is_known else self._stranger(rng)
                span = slice(max(0, item.first), item.first + item.length)
                if n_at_once[span].max() < self.config.max_at_once:
                    n_at_once[span] += 1
                    (placed if is_known else strangers).append(item)
                    break
        return placed, strangers

    def _sound(self, kind: str, index: int, speed: int) -> Sound | None:
        key = (kind, index, speed)
        if key in self._prepared:
            return self._prepared[key]
        waveform = self.strangers[index] if kind == "stranger" else self.examples[index][0]
        sound = prepare_sound(waveform.numpy(), self.config.sample_rate, speed=SPEEDS[speed])
        if self._n_kept_bytes < MAX_KEPT_BYTES:  # the rest is made anew each time
            self._prepared[key] = sound
            self._n_kept_bytes += sound.n_bytes if sound else 0
        return sound

    def _speed(self, rng: np.random.Generator) -> int:
        return int(rng.integers(1, 5)) if rng.random() < self.config.speed_share else 0

    def _draw(self, rng: np.random.Generator, *, is_clip: bool) -> PlacedSound:
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
                return PlacedSound(target, clip, sound, first, 0, length)
            return self._place(rng, target, clip, sound)
        raise DatasetError(f"{N_TRIES} clips drawn in turn hold nothing but silence")

    def _place(self, rng: np.random.Generator, target: int, clip: int, sound: Sound) -> PlacedSound:
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
        return PlacedSound(target, clip, sound, first, offset, length)

    def _stranger(self, rng: np.random.Generator) -> PlacedSound:
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
        snr = rng.uniform(25, 50) if is_clip else between(rng, config.snr_db)
        background *= np.float32(power_gain(power, base, -snr))
        return background
