"""Picture of the mel-frequency cepstral coefficients of one recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from soundsep.audio import AudioInput
from soundsep.errors import ConfigError
from soundsep.frontends import MFCCConfig, MFCCFrontend
from soundsep.frontends.scaling import limit_range
from soundsep.plots.bands import mel_columns, mel_config
from soundsep.plots.canvas import count_axis, new_figure, save_figure, set_time_axis, set_title
from soundsep.plots.sound import HEIGHT, WIDTH
from soundsep.plots.spectrogram import load_excerpt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_mfcc"]


def plot_mfcc(
    audio: AudioInput,
    *,
    config: MFCCConfig | str | None = None,
    sample_rate: int | None = None,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    title: str | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Mel-frequency cepstral coefficients: the mean level as a curve, the others as an image.

    The mean level (coefficient 0) is many times the others, which would all be of one colour beside
    it. Where several frames make one column, its coefficients are those of its loudest levels.

    Args:
        audio: As for `plot_waveform`, like all arguments that are not named here.
        config: Settings, of which ``scaling`` is not applied and ``amin`` is low enough for any
            sound, or the name of one of `soundsep.frontends.mfcc.MFCC_PRESETS`. By default 20
            coefficients of the bands of `plot_mel`.
        sample_rate: Rate of an array, in Hz.
        start_seconds: Where the picture begins.
        duration_seconds: How much is shown.
        title: Above the picture.
        path: Where the picture is written.

    Raises:
        ConfigError: no preset has that name, there is one coefficient only; and the errors of
            `plot_waveform`.
    """
    from scipy.fft import dct  # it takes long to import

    figure = new_figure(path, WIDTH, HEIGHT + 1.0)
    if isinstance(config, str):
        config = MFCCFrontend(config).config
    excerpt = load_excerpt(
        audio,
        sample_rate=sample_rate,
        start_seconds=start_seconds,
        duration_seconds=duration_seconds,
        target_rate=config.sample_rate if config else None,
    )
    config = config or MFCCConfig.from_dict(
        mel_config(excerpt.rate).to_dict() | {"kind": "mfcc", "n_mfcc": 20}
    )
    if config.n_mfcc < 2:
        raise ConfigError("the picture needs at least 2 coefficients, MFCCConfig.n_mfcc is 1")
    mel = mel_columns(excerpt, config)
    db = limit_range(torch.from_numpy(mel.values), config.top_db)
    coefficients = dct(db.double().numpy(), axis=0, norm="ortho")[: config.n_mfcc]
    above, below = figure.subplots(2, sharex=True, height_ratios=(1, 3))
    edges = mel.first_edge_seconds, mel.last_edge_seconds
    times = np.linspace(*edges, coefficients.shape[1] + 1)
    above.stairs(coefficients[0], times, baseline=None, color="#0072B2")
    above.set_ylabel("coefficient 0\n(dB)")
    above.grid(alpha=0.3)
    # A few extreme values must not take the colour from all others.
    limit = max(1.0, float(np.quantile(np.abs(coefficients[1:]), 0.995)))
    image = below.imshow(
        coefficients[1:],
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        interpolation="nearest",  # neighbouring coefficients have nothing to do with each other
        vmin=-limit,
        vmax=limit,
        extent=(*edges, 0.5, config.n_mfcc - 0.5),
    )
    figure.colorbar(image, ax=below, label="coefficient (dB)", pad=0.02, extend="both")
    count_axis(below.yaxis)
    below.set_ylabel("number of the coefficient")
    set_time_axis(below, excerpt.start_seconds, excerpt.end_seconds)
    set_title(above, title, audio)
    return save_figure(figure, path)
