"""Pitch without tempo, and tempo without pitch, by a phase vocoder."""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import torch
from torch import Tensor, nn

from soundsep._torchaudio import torchaudio
from soundsep.devices import check_tensor
from soundsep.errors import ConfigError, ShapeError

__all__ = ["shift_pitch", "stretch_time"]

# Largest term of the resampling ratio: small enough to be fast, large enough for 5 cents.
MAX_DENOMINATOR = 200


def stretch_time(waveform: Tensor, rate: float, *, n_fft: int = 1024) -> Tensor:
    """Play faster or slower without changing the pitch.

    Second t of the input is second t / rate of the output. Clicks are smeared over a window, noise
    becomes 2 to 3 dB quieter, and clips shorter than a window are hardly stretched: their ends are
    cut or silent.

    Args:
        waveform: One clip or a batch, float32 or float64.
        rate: Tempo, from 0.25 to 4: 2 is twice as fast.
        n_fft: Length of the windows, in samples, a multiple of 4; 50 to 100 ms suit most sounds.

    Shape:
        waveform: (time,) or (batch, time). Returns round(time / rate) samples, at least one.

    Raises:
        ConfigError: ``rate`` or ``n_fft`` is out of range.
        ShapeError: no floating-point tensor, or not a single sample.

    Examples:
        >>> stretch_time(torch.randn(2, 16_000), 1.25).shape
        torch.Size([2, 12800])

    References:
        Flanagan and Golden (1966), "Phase vocoder", Bell System Technical Journal 45.
        Laroche and Dolson (1999), "Improved phase vocoder time-scale modification of audio", IEEE
        Trans. Speech and Audio Processing 7(3), for the phases locked to the peaks.
    """
    check_tensor("stretch_time", waveform, "(..., time)")
    if not 0.25 <= rate <= 4:
        raise ConfigError(f"stretch_time needs a rate from 0.25 to 4, got {rate}")
    return _vocode(waveform, rate, max(1, round(waveform.shape[-1] / rate)), n_fft)


def shift_pitch(waveform: Tensor, semitones: float, *, n_fft: int = 1024) -> Tensor:
    """Raise or lower the pitch without changing the tempo.

    The clip is stretched, and then resampled to its old length. The ratio of the two lengths is a
    small fraction, so that the shift is met within 5 cents for shifts of up to an octave, and
    within 10 beyond it; whole octaves are exact. A shift downwards leaves the top of the spectrum
    empty.

    Args:
        waveform: One clip or a batch, float32 or float64.
        semitones: Shift, from -24 to 24; 12 doubles every frequency.
        n_fft: Length of the windows, as for `stretch_time`.

    Shape:
        waveform: (time,) or (batch, time). Returns the same.

    Raises:
        ConfigError: ``semitones`` or ``n_fft`` is out of range.
        ShapeError: no floating-point tensor, or not a single sample.

    Examples:
        >>> shift_pitch(torch.randn(2, 16_000), -3.0).shape
        torch.Size([2, 16000])
    """
    check_tensor("shift_pitch", waveform, "(..., time)")
    if not -24 <= semitones <= 24:
        raise ConfigError(f"shift_pitch needs semitones from -24 to 24, got {semitones}")
    ratio = Fraction(2 ** (semitones / 12)).limit_denominator(MAX_DENOMINATOR)
    up, down = ratio.numerator, ratio.denominator
    n_samples = waveform.shape[-1]
    longer = _vocode(waveform, down / up, -(-n_samples * up // down), n_fft)
    shifted: Tensor = torchaudio().functional.resample(longer, up, down)
    return shifted[..., :n_samples]


def _vocode(waveform: Tensor, rate: float, n_samples: int, n_fft: int) -> Tensor:
    """Frames at every ``rate``-th hop of the waveform, put back together at every hop."""
    if not 16 <= n_fft <= 2**16 or n_fft % 4:
        raise ConfigError(f"n_fft must be a multiple of 4 from 16 to 65536, got {n_fft}")
    if waveform.shape[-1] == 0:
        raise ShapeError(f"expected at least one sample, got shape {tuple(waveform.shape)}")
    hop = n_fft // 4
    window = torch.hann_window(n_fft, dtype=waveform.dtype, device=waveform.device)
    spectrum = torch.stft(  # (..., bins, frames); reflected ends would refuse short clips
        waveform, n_fft, hop, window=window, pad_mode="constant", return_complex=True
    )
    last = spectrum.shape[-1] - 1
    position = torch.arange(math.ceil((last + 1) / rate), dtype=torch.float64) * rate
    left = position.long().clamp(max=last)
    right = (left + 1).clamp(max=last)
    fraction = (position - left).to(waveform)
    left, right = left.to(waveform.device), right.to(waveform.device)
    magnitude = spectrum.abs()
    magnitude = torch.lerp(magnitude[..., left], magnitude[..., right], fraction)
    # From hop to hop, each bin turns by the angle that it turned by in the waveform. Products of
    # complex numbers of length 1 do that without an angle, which would have to be unwrapped.
    phasor = torch.sgn(spectrum)
    phasor = torch.where(phasor == 0, 1, phasor)  # digital silence has no angle
    here = phasor[..., left]
    turn = phasor[..., right] * here.conj()
    turned = torch.cat([phasor[..., :1], turn[..., :-1]], dim=-1).cumprod(dim=-1) * here.conj()
    # All bins of one partial turn by the angle of its peak. Otherwise an onset leaves them at odds,
    # and the partial becomes up to 10 dB too quiet.
    locked = turned.gather(-2, _nearest_peak(magnitude))
    return torch.istft(magnitude * here * locked, n_fft, hop, window=window, length=n_samples)


def _nearest_peak(magnitude: Tensor) -> Tensor:
    """Index of the peak that is nearest to every bin, (..., bins, frames) as the magnitudes."""
    n_bins = magnitude.shape[-2]
    padded = nn.functional.pad(magnitude, (0, 0, 2, 2))
    around = [padded[..., k : k + n_bins, :] for k in range(5)]
    is_peak = magnitude == functools.reduce(torch.maximum, around)
    bins = torch.arange(n_bins, device=magnitude.device).unsqueeze(1)
    below = torch.where(is_peak, bins, -n_bins).cummax(dim=-2).values
    above = torch.where(is_peak, bins, 2 * n_bins).flip(-2).cummin(dim=-2).values.flip(-2)
    return torch.where(bins - below <= above - bins, below, above)
