"""The inverse Fourier transform of demucs' hybrid transformer, one source at a time."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["invert_by_source"]

N_HOPS = 4  # a window's length in hops, in all transforms of demucs


def invert_by_source(network: nn.Module) -> nn.Module:
    """A network of demucs whose sources are transformed back one by one, with the same output.

    Its own transform pads a copy of all spectra twice and holds all frames of all sources at once,
    each of which takes new memory from the system. Networks other than `HTDemucs` are returned as
    they are; all but the transform is shared with the network given, which is not changed.
    """
    from demucs.htdemucs import HTDemucs

    if type(network) is not HTDemucs:
        return network
    clone = copy.copy(network)
    vars(clone)["_ispec"] = _Inverse(network)  # found before the method of the class
    return clone


class _Inverse:
    """What ``HTDemucs._ispec`` gives."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def __call__(self, spectra: Tensor, length: int) -> Tensor:
        """Waveforms from spectra without their last bin, which is 0.

        Shape:
            spectra: (..., n_fft / 2, frames). Returns (..., length).
        """
        if spectra.device.type != "cpu":
            whole: Tensor = self.network._ispec(spectra, length)
            return whole
        n_fft, hop = self.network.nfft, self.network.nfft // N_HOPS
        n_frames = spectra.shape[-1]
        # Where all of them overlap, and only that is kept, the squares of the windows sum to 1.5.
        window = torch.hann_window(n_fft) / 1.5
        waveforms = spectra.new_empty((*spectra.shape[:-2], length), dtype=window.dtype)
        sources = waveforms.view(-1, length)
        for source, spectrum in zip(sources, spectra.flatten(end_dim=-3), strict=True):
            frames = torch.fft.irfft(spectrum.t(), n=n_fft, norm="ortho")
            frames *= window
            summed = frames.new_zeros(n_frames + N_HOPS - 1, hop)
            for i, part in enumerate(frames.split(hop, dim=1)):
                summed[i : i + n_frames] += part
            # The first frame begins one and a half hops before the waveform.
            source.copy_(summed.flatten()[3 * hop // 2 :][:length])
        return waveforms
