"""`Separator`: a recording in, its sources out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial, reduce
from pathlib import Path

import torch
from torch import Tensor, nn

from soundsep.audio import AudioInput, audio_blocks, is_array, load_audio
from soundsep.audio.arrays import warn_of_rate
from soundsep.audio.inputs import name_of
from soundsep.audio.mixdown import mixed_blocks, to_mono
from soundsep.audio.silence import is_silent
from soundsep.config import check_kind
from soundsep.devices import move, prepare, to_device
from soundsep.errors import ConfigError, warn
from soundsep.forks import leave_lost_threads
from soundsep.progress import progress_bar
from soundsep.separator.config import SeparatorConfig
from soundsep.separator.demucs.models import find_demucs
from soundsep.separator.demucs.networks import demucs_config, demucs_members, is_demucs
from soundsep.separator.loading import load_ours, save_ours
from soundsep.separator.member import Member
from soundsep.separator.overlap import Cutting, overlap_add
from soundsep.separator.separation import Separation
from soundsep.separator.source_files import SourceFiles

__all__ = ["Separator"]


class Separator:
    """Separates recordings into their sources.

    A recording is converted to the network's rate and separated in overlapping segments; digital
    silence gives silence. The result depends only on the recording: there is no random shift, and
    no normalisation by the level of the whole recording. The network does not hear the constant
    offset of a segment; each source gets an equal part of it.

    If the network takes stereo, a stereo recording gives stereo sources; a recording with any other
    number of channels is mixed to mono, fed to both channels, and gives mono sources. If the
    network takes mono, every recording is mixed to mono, as `soundsep.load_audio` does.

    Args:
        network: Takes (batch, n_channels, time) and returns (batch, n_sources, n_channels, time).
            It gets whole segments; a recording shorter than one is extended with silence. Networks
            of the demucs package are applied as by its ``apply_model``.
        config: Settings of the separator; not needed for demucs networks.
        device: Device to run on, such as ``"cpu"`` or ``"cuda"``.

    Attributes:
        network: The network, on the device; every call puts it into evaluation mode.
        config: Settings of the separator.

    Raises:
        ConfigError: the device does not exist, or the config is missing.

    Examples:
        >>> class Halves(nn.Module):
        ...     def forward(self, mixture: Tensor) -> Tensor:
        ...         return torch.stack((mixture, mixture), dim=1) / 2
        >>> config = SeparatorConfig(
        ...     sources=("a", "b"), sample_rate=8_000, n_channels=1, segment_seconds=1.0
        ... )
        >>> waveform = torch.tensor([0.0, 1.0]).repeat(10_000)
        >>> result = Separator(Halves(), config)(waveform)
        >>> result["a"].shape, result.audio.sum().item()
        (torch.Size([1, 20000]), 10000.0)
    """

    def __init__(
        self,
        network: nn.Module,
        config: SeparatorConfig | None = None,
        *,
        device: str | torch.device = "cpu",
    ) -> None:
        leave_lost_threads()
        check_kind("Separator", network, nn.Module)
        theirs = is_demucs(network)
        if config is None and not theirs:
            raise ConfigError("a network that is not from demucs needs a SeparatorConfig")
        self.config = demucs_config(network) if config is None else config
        self._has_warned = False  # about an array without a rate
        # Networks of demucs, and perhaps those of others, reshape as if channels came first.
        placed = to_device if self.config.network else move
        self.network: nn.Module = placed(network, device).eval()
        self.device = torch.device(device)
        segment = self.config.segment_samples
        if theirs:
            self._members = demucs_members(network, self.config)
        else:
            shares = torch.ones(len(self.config.sources), dtype=torch.float32, device="cpu")
            self._members = [Member(network=network, shares=shares, length=partial(max, segment))]
        self._cutting = Cutting(
            segment=segment,
            step=self.config.step_samples,
            context=max(member.length(segment) for member in self._members),
            every_step=theirs,
            interchangeable=self.config.interchangeable,
        )

    @classmethod
    def from_pretrained(
        cls, name_or_folder: str | os.PathLike[str], *, device: str | torch.device = "cpu"
    ) -> Separator:
        """Load a separator: a published one, one of demucs, a folder, or one of the Hub.

        Args:
            name_or_folder: A published name; a name that demucs 4.1 knows, such as ``"htdemucs"``;
                a folder written by `save_pretrained`, or one in demucs' format (a ``.yaml`` and one
                ``.safetensors`` per model); or ``org/repo`` on the Hub, in our format.
            device: Device to run on, such as ``"cpu"`` or ``"cuda"``.

        Raises:
            ConfigError: the name is unknown, or a config is invalid.
            WeightsError: a file is not available, is damaged, or is not what it claims to be.
        """
        leave_lost_threads()
        if (network := find_demucs(name_or_folder)) is not None:
            return cls(network, device=device)
        return cls(*load_ours(name_or_folder), device=device)

    def save_pretrained(self, folder: str | Path, *, half: bool = False) -> None:
        """Write ``config.json`` and ``model.safetensors``, as `from_pretrained` reads them.

        Args:
            folder: Created if it does not exist.
            half: Store weights as float16: half the size; they are float32 again when loaded.

        Raises:
            ConfigError: the network is not the one of soundsep that ``config.network`` names.
            WeightsError: a weight is NaN or infinite, or too large for float16.
        """
        save_ours(folder, self.network, self.config, half=half)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources, in order."""
        return self.config.sources

    @property
    def sample_rate(self) -> int:
        """Rate of input and sources, in Hz; recordings at other rates are resampled."""
        return self.config.sample_rate

    def __call__(
        self,
        audio: AudioInput,
        sample_rate: int | None = None,
        *,
        progress: bool = True,
        channel: int | None = None,
    ) -> Separation:
        """Separate a recording in memory; for long ones see `separate_to_dir`.

        Args:
            audio: Anything `soundsep.load_audio` takes.
            sample_rate: Rate of an array, in Hz; by default the separator's own.
            progress: Show a progress bar, if there is a terminal.
            channel: Use this channel only, counted from 0; by default all are mixed.

        Raises:
            AudioError: the recording cannot be read.

        Warns:
            SoundsepWarning: an array was given without ``sample_rate``, once per separator; the
                recording is digital silence, and so are its sources; or the process was forked from
                one that had computed with a model, and torch now computes in one thread.
        """
        leave_lost_threads()
        waveform, _ = load_audio(
            audio,
            sample_rate=self._rate_of(audio, sample_rate),
            target_rate=self.sample_rate,
            mono=self.config.n_channels == 1,
            channel=channel,
        )
        waveform = waveform.view(-1, waveform.shape[-1])
        is_alike = len(waveform) == self.config.n_channels
        mixture = waveform if is_alike else to_mono(waveform, self.sample_rate)[None]
        n_channels, n_samples = mixture.shape
        sources = torch.empty(
            len(self.sources), n_channels, n_samples, dtype=torch.float32, device="cpu"
        )
        seconds = n_samples / self.sample_rate
        done = 0
        for piece in self._separated(
            [mixture], n_channels, name=name_of(audio), seconds=seconds, progress=progress
        ):
            sources[..., done : done + piece.shape[-1]] = piece
            done += piece.shape[-1]
        return Separation(
            sources=self.sources, audio=sources, sample_rate=self.sample_rate, mixture=mixture
        )

    def separate_to_dir(
        self,
        audio: AudioInput,
        folder: str | os.PathLike[str],
        sample_rate: int | None = None,
        *,
        overwrite: bool = False,
        progress: bool = True,
        channel: int | None = None,
    ) -> dict[str, Path]:
        """Separate a recording of any length, segment by segment, into one WAV file per source.

        The files hold the same sources as calling the separator, as 32-bit floats; they get their
        names when all of them are complete.

        Args:
            audio: Anything `soundsep.load_audio` takes.
            folder: Created if it does not exist; the files in it are ``NAME.wav``.
            sample_rate: Rate of an array, in Hz; by default the separator's own.
            overwrite: Replace files of those names.
            progress: Show a progress bar, if there is a terminal.
            channel: Use this channel only, counted from 0; by default all are mixed.

        Returns:
            The path of each source.

        Raises:
            AudioError: the recording cannot be read.
            ConfigError: a file exists, or the disk is full or cannot be written; no file is left
                then.

        Warns:
            SoundsepWarning: as for calling the separator.
        """
        leave_lost_threads()
        blocks = audio_blocks(
            audio,
            sample_rate=self._rate_of(audio, sample_rate),
            target_rate=self.sample_rate,
            mono=self.config.n_channels == 1,
            channel=channel,
        )
        rate, seconds = self.sample_rate, blocks.duration_seconds
        is_stereo = channel is None and blocks.n_channels == self.config.n_channels == 2
        n_channels = 2 if is_stereo else 1
        n_given = 1 if channel is not None else blocks.n_channels
        parts = (block.view(-1, block.shape[-1]) for block in blocks)
        mixed = parts if is_stereo else mixed_blocks(parts, n_given, rate)
        with blocks:
            files = SourceFiles(
                folder, self.sources, sample_rate=rate, n_channels=n_channels, overwrite=overwrite
            )
            with files:
                for piece in self._separated(
                    mixed, n_channels, name=name_of(audio), seconds=seconds, progress=progress
                ):
                    files.write(piece)
        return files.paths

    def _rate_of(self, audio: AudioInput, sample_rate: int | None) -> int | None:
        if sample_rate is None and is_array(audio):
            sample_rate = self.sample_rate
            if not self._has_warned:
                self._has_warned = True
                warn_of_rate(sample_rate)
        return sample_rate

    def _separated(
        self,
        blocks: Iterable[Tensor],
        n_channels: int,
        *,
        name: str,
        seconds: float | None,
        progress: bool,
    ) -> Iterator[Tensor]:
        """Parts of the sources, (n_sources, n_channels, time), from blocks of ``n_channels``."""
        prepare(self.network)  # whoever trains it may have put it into training mode
        extremes = torch.empty(n_channels, 0, dtype=torch.float32, device="cpu")

        def wide() -> Iterator[Tensor]:
            nonlocal extremes
            for block in blocks:
                if block.numel():
                    extremes = _extremes(torch.cat((extremes, _extremes(block)), dim=1))
                yield block.expand(self.config.n_channels, -1)

        with progress_bar(
            total=seconds,
            unit="s",
            unit_scale=True,
            desc="separating",
            progress=progress,
        ) as bar:
            for piece in overlap_add(wide(), self._hear, self._cutting):
                is_alike = piece.shape[1] == n_channels
                yield piece if is_alike else piece.mean(dim=1, keepdim=True)
                bar.update(piece.shape[-1] / self.sample_rate)
        if is_silent(extremes):
            warn(f"{name} is digital silence, and so are its sources; check the recorder")

    def _hear(self, recording: Tensor, start: int, n: int) -> Tensor:
        heard = (member.hear(recording, start, n, self.device) for member in self._members)
        return reduce(torch.add, heard)

    def __repr__(self) -> str:
        """The sources and the rate."""
        return f"Separator({', '.join(self.sources)}; {self.sample_rate} Hz)"


def _extremes(waveform: Tensor) -> Tensor:
    """The lowest and the highest sample of each channel: (channels, time) to (channels, 2)."""
    return torch.stack(waveform.aminmax(dim=1), dim=1)
