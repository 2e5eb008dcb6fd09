"""Picture of the mel-frequency cepstral coefficients of one recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from typing_extensions import Unpack

from soundsep.audio import AudioInput
from soundsep.errors import ConfigError
from soundsep.frontends import MFCCConfig, MFCCFrontend
from soundsep.frontends.scaling import limit_range
from soundsep.plots.bands import mel_columns, mel_config
from soundsep.plots.canvas import count_axis
from soundsep.plots.picture import HEIGHT, Picture, PictureOptions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_mfcc"]


def plot_mfcc(
    audio: AudioInput,
    *,
    config: MFCCConfig | str | None = None,
    **options: Unpack[PictureOptions],
) -> Figure:
    """Mel-frequency cepstral coefficients: the mean level as a curve, the others as an image.

    The mean level (coefficient 0) is many times larger than the others, which would all have one
    colour beside it. Where several frames make one column, its coefficients are those of the
    loudest level in each band.

    Args:
        audio: Anything `soundsep.load_audio` takes; channels are mixed.
        config: Settings, or the name of one of `soundsep.frontends.MFCC_PRESETS`; ``scaling`` and
            ``amin`` are not applied. By default 20 coefficients of the bands of `plot_mel`.
        options: Part, title and file of the picture, see `PictureOptions`.

    Raises:
        ConfigError: no preset has that name, there is only one coefficient, or as `plot_waveform`.
        AudioError: the recording cannot be read.
        DependencyError: matplotlib is not installed.
    """
    from scipy.fft import dct  # it takes long to import

    picture = Picture(audio, HEIGHT + 1.0, **options)
    if isinstance(config, str):
        config = MFCCFrontend(config).config
    excerpt = picture.excerpt(config.sample_rate if config else None)
    config = config or MFCCConfig.from_dict(
        mel_config(excerpt.rate).to_dict() | {"kind": "mfcc", "n_mfcc": 20}
    )
    if config.n_mfcc < 2:
        raise ConfigError("the picture needs at least 2 coefficients, MFCCConfig.n_mfcc is 1")
    mel = mel_columns(excerpt, config)
    db = limit_range(torch.from_numpy(mel.values), config.top_db)
    coefficients = dct(db.double().numpy(), axis=0, norm="ortho")[: config.n_mfcc]
    above, below = picture.figure.subplots(2, sharex=True, height_ratios=(1, 3))
    edges = mel.first_edge_seconds, mel.last_edge_seconds
    times = np.linspace(*edges, coefficients.shape[1] + 1)
    above.stairs(coefficients[0], times, baseline=None, color="#0072B2")
    above.set_ylabel("coefficient 0\n(dB)")
    above.grid(alpha=0.3)
    # A few extreme values must not leave all others without colour.
    limit = max(1.0, float(np.quantile(np.abs(coefficients[1:]), 0.995)))
    image = below.imshow(
        coefficients[1:],
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        interpolation="nearest",  # neighbouring coefficients are unrelated
        vmin=-limit,
        vmax=limit,
        extent=(*edges, 0.5, config.n_mfcc - 0.5),
    )
    picture.figure.colorbar(image, ax=below, label="coefficient (dB)", pad=0.02, extend="both")
    count_axis(below.yaxis)
    below.set_ylabel("number of the coefficient")
    return picture.finish(excerpt, below, top=above)
