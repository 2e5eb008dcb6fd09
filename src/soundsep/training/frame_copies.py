"""Frames of clips as they would sound elsewhere: softer, in noise, in rooms, by other devices."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.checkpoints.locate import cache_root
from soundsep.classifier import Classifier
from soundsep.classifier.scoring import embed_waveforms
from soundsep.datasets import Piece, Soundscapes
from soundsep.datasets.array_cache import ArrayCache
from soundsep.datasets.pieces import audio_keys, spread_pieces
from soundsep.datasets.scene import Scene, SoundscapeConfig
from soundsep.datasets.sounds import FRAME_SECONDS
from soundsep.devices import to_device
from soundsep.digests import code_digest, digest
from soundsep.errors import AudioError, ConfigError, DatasetError
from soundsep.models import FrameNetwork
from soundsep.progress import progress_bar
from soundsep.training.embedding_cache import body_digest, load_clips
from soundsep.training.nothing import noise_windows

__all__ = ["FrameCopies"]

N_COPIES = 6  # of a clip
N_PIECES, PIECE_SECONDS = 30, 10.0  # heard of a longer background
N_BATCH = 16  # windows in a forward pass
COPIES = SoundscapeConfig(
    n_sounds=(0.0, 1.0),
    clip_share=0.35,
    snr_db=(0.0, 35.0),
    cut=0.2,
    part_share=0.2,
    stranger_share=0.0,
    reverb_share=0.2,
    gain_db=(-50.0, 0.0),
)


class FrameCopies:
    """Rows of a few copies of every clip, for a head that learns every label by itself.

    A copy is a scene (`soundsep.datasets.Soundscapes`) of one clip: over computed noise or a
    background, some in a room, with a peak of -50 to 0 dBFS. All random numbers follow from the
    bytes of the clip, so copies are computed once, kept in the cache, and independent of other
    clips.

    Args:
        backbone: Classifier that computes the embeddings; without frames, a row stands for a whole
            window.
        backgrounds: Recordings, or pieces of them, that hold none of the sounds.
        device: Device to compute on, such as ``"cpu"`` or ``"cuda"``.
        errors: ``"raise"`` stops at the first background that cannot be used, ``"skip"`` leaves it
            out.

    Attributes:
        skipped: Backgrounds that were left out, and the reasons.

    Raises:
        AudioError: a background cannot be used, and ``errors`` is ``"raise"``, or none can.
        ConfigError: no scenes can have the backbone's window or rate, or the device does not exist.
    """

    def __init__(
        self,
        backbone: Classifier,
        *,
        backgrounds: Sequence[str | Path | Piece] = (),
        device: str | torch.device = "cpu",
        errors: Literal["raise", "skip"] = "raise",
    ) -> None:
        self.model = to_device(copy.deepcopy(backbone), device).eval()
        self.device = device
        self.config = COPIES.replace(
            sample_rate=backbone.sample_rate, seconds=backbone.config.window_seconds
        )
        self.skipped: dict[Path | Piece, str] = {}
        found = self._load(backgrounds, errors)
        if self.skipped and not found:
            reason = next(iter(self.skipped.values()))
            raise AudioError(f"none of the backgrounds can be used: {reason}")
        self.backgrounds = [*found.values()]
        key_of = audio_keys()
        folder = None
        with suppress(ConfigError):  # no home folder
            folder = cache_root() / "frames" / body_digest(backbone)[:32]
        self.cache = ArrayCache(folder)
        self.settings = json.dumps(
            [
                self.config.to_dict(),
                N_COPIES,
                code_digest("augment", "datasets", "training"),
                [key_of(one) for one in found],
            ],
            sort_keys=True,
        )

    def _load(
        self, backgrounds: Sequence[str | Path | Piece], errors: Literal["raise", "skip"]
    ) -> dict[Path | Piece, Tensor]:
        """The waveforms of backgrounds, of long ones in pieces."""
        places: list[Path | Piece] = []
        found: dict[Path | Piece, Tensor] = {}
        for one in backgrounds:
            try:
                places += (
                    [one]
                    if isinstance(one, Piece)
                    else spread_pieces(Path(one), seconds=PIECE_SECONDS, n_most=N_PIECES)
                )
            except AudioError as error:
                _skip(one if isinstance(one, Piece) else Path(one), error, self.skipped, errors)
        for place, waveform in load_clips(places, self.model):
            if isinstance(waveform, AudioError):
                _skip(place, waveform, self.skipped, errors)
            else:
                found[place] = waveform
        return found

    def of_files(
        self,
        audio: Sequence[Path | Piece],
        *,
        errors: Literal["raise", "skip"] = "raise",
        progress: bool = True,
    ) -> tuple[dict[Path | Piece, Tensor], dict[Path | Piece, str]]:
        """Rows of each file or piece, and the reason for each one skipped.

        Args:
            audio: Files, or pieces of them.
            errors: ``"raise"`` stops at the first that cannot be used, ``"skip"`` continues.
            progress: Show a progress bar.

        Shape:
            Each (n_rows, 1 + embedding_dim): 1 if the sound is there and 0 otherwise, then the
            embedding of a frame, or the mean of those with the sound.

        Raises:
            AudioError: a file cannot be read or holds no sound, and ``errors`` is ``"raise"``.
        """
        found: dict[Path | Piece, Tensor] = {}
        skipped: dict[Path | Piece, str] = {}
        missing: dict[Path | Piece, tuple[str, int]] = {}
        key_of = audio_keys()

        for one in dict.fromkeys(audio):
            try:
                content = key_of(one)
            except AudioError as error:
                _skip(one, error, skipped, errors)
                continue
            key = digest(content, self.settings)
            rows = self.cache.get(key)
            if rows is None or not self._is_sound(rows):
                missing[one] = key, int(content[:8], 16)
            else:
                found[one] = torch.from_numpy(rows)
        loaded = load_clips(missing, self.model)
        for one, waveform in progress_bar(
            loaded, progress=progress, unit="clip", desc="embedding", total=len(missing)
        ):
            key, seed = missing[one]
            try:
                if isinstance(waveform, AudioError):
                    raise waveform
                found[one] = self._rows_of(one, waveform, seed=seed)
            except AudioError as error:
                _skip(one, error, skipped, errors)
            else:
                self.cache.put(key, found[one].numpy())
        return found, skipped

    def of_noise(self, seed: int) -> Tensor:
        """Rows of computed noises and of the backgrounds, at many levels, without any sound.

        Args:
            seed: Seed of the noises, their levels and the parts of the backgrounds; of several
                backgrounds, an even one takes every other, and an odd one the rest.

        Shape:
            Returns (n_rows, 1 + embedding_dim), as `of_files`.
        """
        key = digest(f"noise {seed} ", self.settings)
        kept = self.cache.get(key)
        if kept is not None and self._is_sound(kept):
            return torch.from_numpy(kept)
        rng = np.random.default_rng(seed)
        # A recording that is learnt from says nothing about others.
        others = self.backgrounds[seed % 2 :: 2] or self.backgrounds
        windows = noise_windows(
            rng, self.config.n_samples, self.config.sample_rate, backgrounds=others
        )
        rows = []
        for start in range(0, len(windows), N_BATCH):
            for frames in self._embed(windows[start : start + N_BATCH]):
                rows.append(_row(0, frames.mean(dim=0)))
                if len(frames) > 1:
                    rows += [_row(0, frames[i]) for i in rng.integers(len(frames), size=2).tolist()]
        stacked = torch.stack(rows)
        self.cache.put(key, stacked.numpy())
        return stacked

    def _is_sound(self, rows: NDArray[Any]) -> bool:
        width = 1 + self.model.network.embedding_dim
        return rows.ndim == 2 and rows.shape[1] == width and bool(np.isfinite(rows).all())

    def _rows_of(self, one: Path | Piece, waveform: Tensor, *, seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        scenes = Soundscapes(
            [(waveform, 0)],
            n_scenes=4 * N_COPIES,
            seed=seed,
            config=self.config,
            backgrounds=self.backgrounds,
        )
        heard: list[Scene] = []
        try:
            for index in range(len(scenes)):
                if len(heard) < N_COPIES and (scene := scenes[index]).active:
                    heard.append(scene)
        except DatasetError:
            heard = []
        if not heard:
            raise AudioError(f"{one} holds no sound that lasts, from which to learn")
        rows: list[Tensor] = []
        if self.model.frame_seconds is None:  # shorter clips are repeated there, not in scenes
            ((_, plain),) = embed_waveforms(self.model, [(0, waveform)], batch_size=N_BATCH)
            rows.append(_row(1, plain))
        embedded = self._embed([scene.waveform for scene in heard])
        for scene, frames in zip(heard, embedded, strict=True):
            if self.model.frame_seconds is None:
                rows.append(_row(1, frames[0]))
                continue
            step = round(self.model.frame_seconds / FRAME_SECONDS)
            presence, weight = scene.frame_targets(1, len(frames), step)
            sounds = presence[:, 0] > 0
            nothing = (weight[:, 0] > 0) & ~sounds
            if sounds.any():
                rows += [
                    _row(1, frames[sounds].mean(dim=0)),
                    _row(1, frames[sounds][int(rng.integers(int(sounds.sum())))]),
                ]
            if nothing.any():
                rows.append(_row(0, frames[nothing][int(rng.integers(int(nothing.sum())))]))
        return torch.stack(rows)

    @torch.inference_mode()
    def _embed(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(n, n_frames, embedding_dim), on the CPU; without frames, a window counts as one."""
        network = self.model.network
        features = self.model.features(torch.stack([*waveforms]).to(self.device))
        if isinstance(network, FrameNetwork):
            return network.embed_frames(features).float().cpu()
        return network.embed(features).float().cpu().unsqueeze(1)


def _row(is_there: int, embedding: Tensor) -> Tensor:
    return torch.cat([torch.full((1,), float(is_there)), embedding])


def _skip(
    one: Path | Piece,
    error: AudioError,
    skipped: dict[Path | Piece, str],
    errors: Literal["raise", "skip"],
) -> None:
    """Note what cannot be used, or raise what is wrong with it."""
    if errors == "raise":
        raise error
    skipped[one] = str(error)
