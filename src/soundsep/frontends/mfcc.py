"""Mel-frequency cepstral coefficients: the shape of a mel spectrum in a few numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from soundsep.errors import ConfigError
from soundsep.frontends.checks import check_sizes, check_table, check_waveform, preset
from soundsep.frontends.mel import MEL_PRESETS, MelConfig, MelFrontend
from soundsep.frontends.scaling import scale

__all__ = ["MFCC_PRESETS", "MFCCConfig", "MFCCFrontend"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MFCCConfig(MelConfig):
    """Settings of `MFCCFrontend`: those of `MelConfig`, and how many coefficients are kept.

    ``top_db`` applies to the mel spectrogram, ``scaling`` to all coefficients together, not row by
    row.

    Attributes:
        n_mfcc: Number of coefficients, at most ``n_mels``; the first is the mean level.
    """

    kind: ClassVar[str] = "mfcc"

    n_mfcc: int = 40

    def _check(self) -> None:
        """Reject settings that no waveform could satisfy.

        Raises:
            ConfigError: a size, frequency or name is out of range.
        """
        MelConfig._check(self)  # super() does not know a class with slots
        check_sizes(self, "n_mfcc")
        check_table(self, "n_mfcc times n_mels", self.n_mfcc * self.n_mels)
        if self.n_mfcc > self.n_mels:
            raise ConfigError(
                f"MFCCConfig.n_mfcc ({self.n_mfcc}) must not exceed n_mels ({self.n_mels})"
            )


MFCC_PRESETS: dict[str, MFCCConfig] = {
    "16k": MFCCConfig(),
    # The mel spectrogram of that name. 64 of 256 coefficients keep what is 8 bands wide or wider,
    # and leave a residual network, which divides both axes by 32, two rows.
    "44k-fine": MFCCConfig.from_dict(
        MEL_PRESETS["44k-fine"].to_dict() | {"kind": "mfcc", "n_mfcc": 64}
    ),
}


class MFCCFrontend(nn.Module):
    """Mel-frequency cepstral coefficients: the cosine transform of a mel spectrogram in dB.

    The transform is the orthonormal one of type 2, over the bands. With ``scaling="none"`` the
    coefficients are those of ``librosa.feature.mfcc`` to 1e-3. A clip's coefficients never depend
    on the other clips of the batch.

    Args:
        config: Settings, or the name of one of `MFCC_PRESETS`.

    Shape:
        waveform: (batch, time), mono, at `sample_rate`. Returns (batch, n_mfcc, frames)
        with as many frames as of `MelFrontend`.

    Raises:
        ConfigError: no preset has that name.

    Examples:
        >>> import torch
        >>> MFCCFrontend("16k")(torch.zeros(2, 16_000)).shape
        torch.Size([2, 40, 51])

    References:
        Davis and Mermelstein (1980), "Comparison of parametric representations for monosyllabic
        word recognition in continuously spoken sentences", IEEE Trans. ASSP 28(4).
    """

    def __init__(self, config: MFCCConfig | str = "16k") -> None:
        super().__init__()
        self.config = config = preset(config, MFCC_PRESETS, "MFCC")
        self.mel = MelFrontend(config)
        # torchaudio's table is computed in float32 and up to 1e-4 off, which many bands add up.
        dct = _cosine_transform(config.n_mfcc, config.n_mels)
        self.register_buffer("dct", dct.float(), persistent=False)
        self.dct: Tensor

    @property
    def sample_rate(self) -> int:
        """Rate of the waveforms, in Hz; nothing is resampled here."""
        return self.config.sample_rate

    @property
    def min_samples(self) -> int:
        """Shortest waveform that has features, in samples."""
        return self.mel.min_samples

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features.

        Raises:
            ShapeError: not (batch, time), no clip, not floating point, of another type than the
                frontend, of half precision on a CPU, or shorter than `min_samples`.
        """
        check_waveform(
            waveform, frontend="MFCCFrontend", min_samples=self.min_samples, table=self.dct
        )
        db = self.mel.decibels(waveform)
        # The level is large and in the first coefficient alone. Taken through the product, float32
        # would round it to 1e-3.
        level = db.mean(dim=1, keepdim=True)
        first = level * math.sqrt(self.config.n_mels)
        others = self.dct @ (db - level)
        return scale(torch.cat([first, others], dim=1), self.config.scaling)

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, waveform: Tensor) -> Tensor:
            """As `forward`."""
            ...

    def extra_repr(self) -> str:
        """Show the settings in the module's printed form."""
        return repr(self.config)


def _cosine_transform(n_mfcc: int, n_mels: int) -> Tensor:
    """The orthonormal cosine transform of type 2 without its first row, in float64.

    Shape:
        Returns (n_mfcc - 1, n_mels).
    """
    order = torch.arange(1, n_mfcc, dtype=torch.float64)[:, None]
    band = torch.arange(n_mels, dtype=torch.float64)
    return math.sqrt(2 / n_mels) * torch.cos(math.pi / n_mels * (band + 0.5) * order)
