"""Pictures of one recording in bands: mel spectrogram and gammatonegram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Unpack

from soundsep.audio import AudioInput
from soundsep.frontends import (
    GammatoneConfig,
    GammatoneFrontend,
    MelConfig,
    MelFrontend,
)
from soundsep.frontends.filterbank import mel_filterbank
from soundsep.plots.canvas import (
    hz_ticks,
)
from soundsep.plots.picture import Picture, PictureOptions
from soundsep.plots.sound import draw_levels
from soundsep.plots.spectrogram import (
    AMIN,
    Columns,
    Excerpt,
    columns,
    window_samples,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_bands", "mel_centres", "mel_columns", "mel_config", "plot_gammatone", "plot_mel"]

N_MELS = 128
MAX_FFT = 2**15  # samples; with more, the table of bands would be too large at 384 kHz
LONG_FILTERS_HZ = 500_000  # rate above which filters from 50 Hz on would be too long


def plot_mel(
    audio: AudioInput,
    *,
    config: MelConfig | str | None = None,
    **options: Unpack[PictureOptions],
) -> Figure:
    """Mel spectrogram in dB.

    Args:
        audio: Anything `soundsep.load_audio` takes; channels are mixed.
        config: Settings, or the name of one of `soundsep.frontends.MEL_PRESETS`, to see the
            features of a model; the picture shows decibels before ``top_db`` and ``scaling``. By
            default 128 bands from 20 Hz to half of the recording's own rate.
        options: Part, title and file of the picture, see `PictureOptions`.

    Raises:
        ConfigError: no preset has that name, or as `plot_waveform`.
        AudioError: the recording cannot be read.
        DependencyError: matplotlib is not installed.
    """
    picture = Picture(audio, **options)
    if isinstance(config, str):
        config = MelFrontend(config).config
    excerpt = picture.excerpt(config.sample_rate if config else None)
    config = config or mel_config(excerpt.rate)
    axes = picture.figure.add_subplot()
    draw_bands(picture.figure, axes, mel_columns(excerpt, config), mel_centres(config))
    axes.set_ylabel("frequency (Hz), mel scale")
    return picture.finish(excerpt, axes)


def plot_gammatone(
    audio: AudioInput,
    *,
    config: GammatoneConfig | None = None,
    **options: Unpack[PictureOptions],
) -> Figure:
    """Gammatonegram in dB: the energies of filters like those of the ear.

    Args:
        audio: Anything `soundsep.load_audio` takes; channels are mixed.
        config: Settings; the picture shows decibels before ``top_db`` and ``scaling``. By default
            64 bands from 50 Hz, above a rate of 500 kHz from 200 Hz, to 0.45 of the recording's
            own rate.
        options: Part, title and file of the picture, see `PictureOptions`.

    Raises:
        ConfigError: as `plot_waveform`.
        AudioError: the recording cannot be read.
        DependencyError: matplotlib is not installed.
    """
    picture = Picture(audio, **options)
    excerpt = picture.excerpt(config.sample_rate if config else None)
    window = window_samples(excerpt.rate)
    config = config or GammatoneConfig(
        sample_rate=excerpt.rate,
        f_min=50.0 if excerpt.rate <= LONG_FILTERS_HZ else 200.0,
        f_max=0.45 * excerpt.rate,
        win_length=window,
        hop_length=window // 4,
    )
    with torch.device("cpu"):  # where the excerpt is, whatever the default
        frontend = GammatoneFrontend(config.replace(top_db=None, scaling="none", amin=AMIN))
        centres = frontend.centre_frequencies.numpy()
    shown = columns(frontend, excerpt, hop=config.hop_length, min_samples=frontend.min_samples)
    axes = picture.figure.add_subplot()
    draw_bands(picture.figure, axes, shown, centres)
    axes.set_ylabel("centre frequency (Hz), ERB scale")
    return picture.finish(excerpt, axes)


def mel_columns(excerpt: Excerpt, config: MelConfig) -> Columns:
    """Mel levels in dB, without a floor.

    Args:
        excerpt: Part of a recording to analyse.
        config: Bands, windows and hop; of an `MFCCConfig`, those of its mel spectrogram.
    """
    mel = MelConfig.from_dict(
        {key: value for key, value in config.to_dict().items() if key not in ("kind", "n_mfcc")}
    )
    with torch.device("cpu"):  # where the excerpt is, whatever the default
        frontend = MelFrontend(mel.replace(top_db=None, scaling="none", amin=AMIN))
    return columns(frontend, excerpt, hop=config.hop_length, min_samples=frontend.min_samples)


def mel_config(rate: int) -> MelConfig:
    """The default bands of a picture.

    Args:
        rate: Rate of the recording, in Hz.
    """
    window = window_samples(rate)
    return MelConfig(
        sample_rate=rate,
        # Padded: at the lower end of the scale the bands are narrower than the window's bins.
        n_fft=min(max(4 * window, 1_024), MAX_FFT),
        win_length=window,
        hop_length=window // 4,
        n_mels=N_MELS,
        f_min=20.0,
        f_max=rate / 2,
    )


def mel_centres(config: MelConfig) -> NDArray[np.float64]:
    """Frequency that each band weights most, in Hz.

    Shape:
        Returns (n_mels,).
    """
    n_fft = 2**15
    with torch.device("cpu"):
        weights = mel_filterbank(
            sample_rate=config.sample_rate,
            n_fft=n_fft,
            n_mels=config.n_mels,
            f_min=config.f_min,
            f_max=config.f_max,
            mel_scale=config.mel_scale,
            norm=config.norm,
        )
    centres: NDArray[np.float64] = (
        weights.argmax(dim=0).double() * config.sample_rate / n_fft
    ).numpy()
    return centres


def draw_bands(
    figure: Figure,
    axes: Axes,
    shown: Columns,
    centres: NDArray[np.float64],
    *,
    colour_bar: bool = True,
) -> None:
    """Draw levels over an axis of bands, labelled with their frequencies.

    Args:
        figure: Figure of the axes.
        axes: Axes to draw on.
        shown: Levels in dB.
        centres: Centre frequency of each band in Hz, (bands,), rising.
        colour_bar: Draw a colour bar beside the image.
    """
    top = len(centres) - 0.5
    draw_levels(figure, axes, shown, bottom=-0.5, top=top, colour_bar=colour_bar)
    axes.set_yticks(*hz_ticks(centres))
