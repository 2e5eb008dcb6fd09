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
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundsep.errors import ConfigError

__all__ = [
    "SEPARATION_NETWORKS",
    "MaskUNet",
    "build_separation_network",
    "mask_unet",
    "mask_unet_wide",
]

FLOOR = 1e-2  # of magnitudes, when the waveform has a mean power of 1


class MaskUNet(nn.Module):
    """Softmax masks over the sources, from the magnitudes of a short-time Fourier transform.

    The masks of a point sum to 1, so the sources sum to the mixture. The input is scaled to a mean
    power of 1 and the output scaled back: loudness makes no difference.

    Args:
        n_sources: Number of outputs; they have no fixed order.
        channels: Channels per level, from fine to coarse; each level halves time and frequency.
        n_fft: Window of the transform, in samples; the hop is half of it.
        attention: Blocks of self-attention over the points of level ``attention_level``, by which a
            sound may find its other parts, far away in time or frequency.
        attention_level: Counted from 0, the finest.
        has_phase: Hear the phase, too, and change it: complex numbers that sum to 0 are added to
            the masks.

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
        attention: int = 0,
        attention_level: int = 3,
        has_phase: bool = False,
    ) -> None:
        super().__init__()
        self.n_sources, self.n_fft, self.has_phase = n_sources, n_fft, has_phase
        self.attention_level = attention_level
        self.register_buffer("window", torch.hann_window(n_fft).sqrt(), persistent=False)
        steps = list(itertools.pairwise(channels))
        self.stem = nn.Conv2d(4 if has_phase else 2, channels[0], 5, stride=2, padding=2)
        self.encoder = nn.ModuleList(_Residual(n) for n in channels)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in steps)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 4, stride=2, padding=1) for a, b in steps)
        self.join = nn.ModuleList(nn.Conv2d(2 * a, a, 1) for a, _ in steps)
        self.decoder = nn.ModuleList(_Residual(a) for a, _ in steps)
        n_outputs = (3 if has_phase else 1) * n_sources
        self.head = nn.Sequential(
            _Norm(channels[0]),
            nn.SiLU(),
            nn.ConvTranspose2d(channels[0], n_outputs, 4, stride=2, padding=1),
        )
        with torch.no_grad():  # begin with the masks alone
            for parameter in self.head[-1].parameters():
                # Outputs are the second axis of the weights, the only one of the biases.
                parameter.movedim(min(1, parameter.ndim - 1), 0)[n_sources:] = 0.0
        width = channels[attention_level] if attention else 0
        self.attention = nn.ModuleList(_Attention(width) for _ in range(attention))

    def forward(self, waveform: Tensor) -> Tensor:
        """Separate mixtures into sources."""
        level = waveform.square().mean(dim=(1, 2)).sqrt()[:, None]
        # Silence stays silence: 0 / 1.
        spectrum = self._transform(waveform[:, 0] / torch.where(level > 0, level, 1.0))
        sources = self._inverse(self.masks(spectrum) * spectrum[:, None], waveform.shape[-1])
        return sources.unsqueeze(2) * level[:, None, None]

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, waveform: Tensor) -> Tensor:
            """As `forward`."""
            ...

    def masks(self, spectrum: Tensor) -> Tensor:
        """Masks for a spectrum; over the sources they sum to 1.

        Shape:
            spectrum: Complex, (batch, n_fft / 2 + 1, frames). Returns (batch, n_sources,
            n_fft / 2 + 1, frames), complex if the network hears the phase.
        """
        n_frames = spectrum.shape[-1]
        factor = 2 ** len(self.encoder)
        # The constant part is left out, so that the number of frequencies can be halved so often.
        bins = spectrum[:, 1:]
        magnitude = bins.abs().clamp(min=FLOOR)
        x = magnitude.log()
        x = x - x.mean(dim=(1, 2), keepdim=True)
        height = torch.linspace(-1, 1, x.shape[1], dtype=x.dtype, device=x.device)
        features = [x, height[:, None].expand_as(x)]
        if self.has_phase:
            compressed = bins * magnitude**-0.7
            features += [compressed.real, compressed.imag]
        x = torch.stack(features, dim=1)
        x = self.stem(functional.pad(x, (0, -n_frames % factor)))
        skipped: list[Tensor] = []
        for encoder, down in itertools.zip_longest(self.encoder, self.down):
            x = encoder(x)
            if len(skipped) == self.attention_level:
                for block in self.attention:
                    x = block(x)
            if down is not None:
                skipped.append(x)
                x = down(x)
        for up, join, decoder in reversed([*zip(self.up, self.join, self.decoder, strict=True)]):
            x = decoder(join(torch.cat((up(x), skipped.pop()), dim=1)))
        x = self.head(x)[..., :n_frames].float()
        x = torch.cat((x[:, :, :1], x), dim=2)
        if not self.has_phase:
            return x.softmax(dim=1)
        logits, real, imag = x.chunk(3, dim=1)
        # The first and the last bin are real.
        imag = functional.pad(imag[:, :, 1:-1], (0, 0, 1, 1))
        real, imag = (part - part.mean(dim=1, keepdim=True) for part in (real, imag))
        return torch.complex(logits.softmax(dim=1) + real, imag)

    def _transform(self, waveform: Tensor) -> Tensor:
        return torch.stft(
            waveform,
            self.n_fft,
            self.n_fft // 2,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )

    def _inverse(self, spectrum: Tensor, n_samples: int) -> Tensor:
        """What `torch.istft` gives, which waits for the device to check the window.

        Shape:
            spectrum: (..., n_fft / 2 + 1, frames). Returns (..., n_samples).
        """
        frames = torch.fft.irfft(spectrum.transpose(-2, -1), n=self.n_fft) * self.window
        first, second = frames.flatten(-2).unflatten(-1, (-1, 2, self.n_fft // 2)).unbind(-2)
        # The first half of the first frame lies before the waveform.
        summed = second + functional.pad(first[..., 1:, :], (0, 0, 0, 1))
        # Two windows overlap everywhere but behind the last frame, and their squares sum to 1.
        tail = self.window[self.n_fft // 2 :].square()
        n_tail = n_samples - (spectrum.shape[-1] - 1) * (self.n_fft // 2)
        whole: Tensor = summed.flatten(-2)[..., :n_samples]
        if n_tail:
            body, end = whole[..., :-n_tail], whole[..., -n_tail:]
            whole = torch.cat((body, end / tail[:n_tail]), dim=-1)
        return whole


class _Norm(nn.GroupNorm):
    """Normalises a clip; bfloat16 stays bfloat16, which autocast would widen on an accelerator."""

    def __init__(self, n_channels: int) -> None:
        super().__init__(1, n_channels)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.bfloat16:
            return super().forward(x)
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            normed: Tensor = functional.group_norm(x, self.num_groups, weight, bias, self.eps)
        return normed


class _Attention(nn.Module):
    """A transformer's block over all points, whose places the convolutions know.

    References:
        Vaswani et al. (2017), "Attention is all you need", NIPS (arXiv 1706.03762).
    """

    def __init__(self, n_channels: int, *, head_channels: int = 32) -> None:
        super().__init__()
        self.head_channels = head_channels
        self.norm = nn.LayerNorm(n_channels)
        self.heads = nn.Linear(n_channels, 3 * n_channels)
        self.join = nn.Linear(n_channels, n_channels)
        self.mix = nn.Sequential(
            nn.LayerNorm(n_channels),
            nn.Linear(n_channels, 2 * n_channels),
            nn.SiLU(),
            nn.Linear(2 * n_channels, n_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map (batch, n_channels, height, width) with what its points say to each other."""
        points = x.flatten(2).transpose(1, 2)
        parts = self.heads(self.norm(points)).unflatten(-1, (3, -1, self.head_channels))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(query, key, value)
        points = points + self.join(heard.transpose(1, 2).flatten(2))
        points = points + self.mix(points)
        placed: Tensor = points.transpose(1, 2).reshape(x.shape)
        return placed


class _Residual(nn.Sequential):
    """Two convolutions beside a shortcut; normalised per clip, so that clips stay independent."""

    def __init__(self, n_channels: int) -> None:
        super().__init__(
            _Norm(n_channels),
            nn.SiLU(),
            nn.Conv2d(n_channels, n_channels, 3, padding=1),
            _Norm(n_channels),
            nn.SiLU(),
            nn.Conv2d(n_channels, n_channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = super().forward(x)  # type: ignore[no-untyped-call]  # nor has torch types
        return x + change


def mask_unet(n_sources: int) -> MaskUNet:
    """Small and fast: 2.7 million parameters."""
    return MaskUNet(n_sources=n_sources)


def mask_unet_wide(n_sources: int) -> MaskUNet:
    """The network of ``esc50-mix2``, with attention and phase: 4.8 million parameters."""
    return MaskUNet(
        n_sources=n_sources,
        channels=(24, 48, 96, 128, 160, 160),
        attention=2,
        has_phase=True,
    )


# A literal table: a name found in a file can only choose one of these, never import anything.
SEPARATION_NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "mask-unet": mask_unet,
    "mask-unet-wide": mask_unet_wide,
}


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
