"""Networks that separate: a mixture in, one waveform per source out; built by name from a table.

`MaskUNet` estimates masks on the spectrogram with a U-Net, as Jansson et al. (2017) do for singing
voice, but for sources without a fixed order.

References:
    Jansson et al. (2017), "Singing voice separation with deep U-Net convolutional networks", ISMIR.
    Kavalerov et al. (2019), "Universal sound separation", WASPAA (arXiv 1905.03330), for masks on
    the spectrogram that add up to one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundsep.errors import ConfigError

__all__ = ["SEPARATION_NETWORKS", "MaskUNet", "build_separation_network", "mask_unet"]

FLOOR = 1e-2  # of magnitudes, when the waveform has a mean power of 1


class MaskUNet(nn.Module):
    """Softmax masks over the sources, from the magnitudes of a short-time Fourier transform.

    The masks of a point sum to 1, so the sources sum to the mixture. The input is scaled to a mean
    power of 1 and the output scaled back: loudness makes no difference.

    Args:
        n_sources: Number of outputs; they have no fixed order.
        channels: Channels per level, from fine to coarse; each level halves time and frequency.
        n_fft: Window of the transform, in samples; the hop is half of it.

    Shape:
        waveform: (batch, 1, time). Returns (batch, n_sources, 1, time).
    """

    window: Tensor

    def __init__(
        self,
        *,
        n_sources: int,
        channels: Sequence[int] = (16, 32, 64, 96, 128, 128),
        n_fft: int = 512,
    ) -> None:
        super().__init__()
        self.n_sources, self.n_fft = n_sources, n_fft
        self.register_buffer("window", torch.hann_window(n_fft).sqrt(), persistent=False)
        steps = list(itertools.pairwise(channels))
        self.stem = nn.Conv2d(2, channels[0], 5, stride=2, padding=2)
        self.encoder = nn.ModuleList(_Residual(n) for n in channels)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in steps)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 4, stride=2, padding=1) for a, b in steps)
        self.join = nn.ModuleList(nn.Conv2d(2 * a, a, 1) for a, _ in steps)
        self.decoder = nn.ModuleList(_Residual(a) for a, _ in steps)
        self.head = nn.Sequential(
            nn.GroupNorm(1, channels[0]),
            nn.SiLU(),
            nn.ConvTranspose2d(channels[0], n_sources, 4, stride=2, padding=1),
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """Separate mixtures into sources."""
        level = waveform.square().mean(dim=(1, 2)).sqrt()[:, None]
        # Silence stays silence: 0 / 1.
        spectrum = self._transform(waveform[:, 0] / torch.where(level > 0, level, 1.0))
        masks = self.masks(spectrum.abs()).softmax(dim=1)
        sources = torch.istft(
            (masks * spectrum[:, None]).flatten(0, 1),
            self.n_fft,
            self.n_fft // 2,
            window=self.window,
            length=waveform.shape[-1],
        )
        return sources.view(-1, self.n_sources, 1, waveform.shape[-1]) * level[:, None, None]

    def masks(self, magnitude: Tensor) -> Tensor:
        """Logits of the masks.

        Shape:
            magnitude: (batch, n_fft / 2 + 1, frames), at a mean power of the waveform of 1. Returns
            (batch, n_sources, n_fft / 2 + 1, frames).
        """
        n_frames = magnitude.shape[-1]
        factor = 2 ** len(self.encoder)
        # Without the constant part, the number of frequencies can be halved in every level.
        x = magnitude[:, 1:].clamp(min=FLOOR).log()
        x = x - x.mean(dim=(1, 2), keepdim=True)
        height = torch.linspace(-1, 1, x.shape[1], dtype=x.dtype, device=x.device)
        x = torch.stack((x, height[:, None].expand_as(x)), dim=1)
        x = self.stem(functional.pad(x, (0, -n_frames % factor)))
        skipped: list[Tensor] = []
        for encoder, down in itertools.zip_longest(self.encoder, self.down):
            x = encoder(x)
            if down is not None:
                skipped.append(x)
                x = down(x)
        for up, join, decoder in reversed([*zip(self.up, self.join, self.decoder, strict=True)]):
            x = decoder(join(torch.cat((up(x), skipped.pop()), dim=1)))
        x = self.head(x)[..., :n_frames].float()
        return torch.cat((x[:, :, :1], x), dim=2)

    def _transform(self, waveform: Tensor) -> Tensor:
        return torch.stft(
            waveform,
            self.n_fft,
            self.n_fft // 2,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )


class _Residual(nn.Sequential):
    """Two convolutions beside a shortcut; normalised per clip, so that clips stay independent."""

    def __init__(self, n_channels: int) -> None:
        super().__init__(
            nn.GroupNorm(1, n_channels),
            nn.SiLU(),
            nn.Conv2d(n_channels, n_channels, 3, padding=1),
            nn.GroupNorm(1, n_channels),
            nn.SiLU(),
            nn.Conv2d(n_channels, n_channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = super().forward(x)  # type: ignore[no-untyped-call]  # nor has torch types
        return x + change


def mask_unet(n_sources: int) -> MaskUNet:
    """The network of ``esc50-mix2``: 2.7 million parameters."""
    return MaskUNet(n_sources=n_sources)


# A literal table: a name found in a file can only choose one of these, never import anything.
SEPARATION_NETWORKS: dict[str, Callable[[int], nn.Module]] = {"mask-unet": mask_unet}


def build_separation_network(name: str, *, n_sources: int) -> nn.Module:
    """Build a network by name, with random weights.

    Args:
        name: One of `SEPARATION_NETWORKS`.
        n_sources: Number of outputs.

    Raises:
        ConfigError: no network has that name.
    """
    if name not in SEPARATION_NETWORKS:
        raise ConfigError(
            f"no separation network is called {name!r}; there are {', '.join(SEPARATION_NETWORKS)}"
        )
    return SEPARATION_NETWORKS[name](n_sources)
