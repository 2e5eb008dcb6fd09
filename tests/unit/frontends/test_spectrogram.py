from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from soundsep.frontends import KaldiMelFrontend, MelConfig, MelFrontend
from soundsep.frontends import spectrogram as module


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


FRONTENDS = {
    "mel": MelFrontend(),
    "amplitude": MelFrontend(MelConfig(power=1.0)),
    "kaldi": KaldiMelFrontend(),
}


@pytest.mark.parametrize("frontend", FRONTENDS.values(), ids=FRONTENDS)
@pytest.mark.parametrize("n_samples", [4_000, 48_000])
def test_slices_give_what_all_frames_at_once_give(frontend, n_samples, monkeypatch):
    waveform = noise(5, n_samples)
    spectrogram = frontend.spectrogram
    monkeypatch.setattr(module, "MAX_SLICE_BYTES", 2**40)
    whole = spectrogram(waveform)
    n_frames = 1 + n_samples // 320
    for n_rows in (2, 7, n_frames - 1, n_frames, 2 * n_frames):
        most = n_rows * 4 * spectrogram.n_fft // torch.get_num_threads()
        monkeypatch.setattr(module, "MAX_SLICE_BYTES", most)
        torch.testing.assert_close(spectrogram(waveform), whole, rtol=1e-5, atol=1e-6)
    # With a gradient there is one slice.
    found = spectrogram(waveform.clone().requires_grad_()).detach()
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 4, 33])
@pytest.mark.parametrize("n_samples", [100, 20_000, 320_000])
def test_memory_grows_neither_with_the_length_nor_with_the_batch(batch, n_samples, monkeypatch):
    rows: list[int] = []
    rfft = torch.fft.rfft
    monkeypatch.setattr(torch.fft, "rfft", lambda x: rows.append(x.numel()) or rfft(x))
    MelFrontend()(torch.zeros(batch, n_samples))
    assert max(rows) * 4 <= module.MAX_SLICE_BYTES * torch.get_num_threads()
    assert sum(rows) == batch * (1 + n_samples // 320) * 1024


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@pytest.mark.parametrize("n_fft", [1024, 25])
@pytest.mark.parametrize("n_samples", [513, 3_000])
def test_both_ends_are_extended_as_torch_does_it(pad_mode, n_fft, n_samples):
    spectrogram = module.BandSpectrogram(
        torch.ones(n_fft),
        torch.rand(n_fft // 2 + 1, 3),
        n_fft=n_fft,
        hop_length=7,
        pad_mode=pad_mode,
    )
    waveform = noise(2, n_samples)
    expected = spectrogram(waveform.clone().requires_grad_()).detach()
    found = spectrogram(waveform)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


# torch announces the end of its first tracer.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_traced_frontend_takes_any_batch_and_length():
    frontend = KaldiMelFrontend()
    traced = torch.jit.trace(frontend, noise(2, 16_000), check_trace=False)
    waveform = noise(3, 200_000)
    torch.testing.assert_close(traced(waveform), frontend(waveform), rtol=0, atol=1e-5)


def test_threads_and_modes_share_no_memory_that_one_of_them_writes():
    frontend, waveforms = MelFrontend(), [noise(1, n) for n in range(20_000, 60_000, 5_000)]
    with torch.inference_mode():
        expected = [frontend(waveform) for waveform in waveforms]
    kept = [features.clone() for features in expected]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, wanted in zip(pool.map(frontend, waveforms), expected, strict=True):
                assert torch.equal(found, wanted)
    double = MelFrontend().double()(waveforms[0].double())
    torch.testing.assert_close(double.float(), expected[0], rtol=0, atol=1e-4)
    assert all(map(torch.equal, expected, kept))


@pytest.mark.parametrize("frontend", FRONTENDS.values(), ids=FRONTENDS)
def test_what_follows_the_features_has_a_gradient(frontend):
    with torch.inference_mode():
        frontend(noise(2, 60_000))
    features = frontend(noise(2, 60_000))
    assert not features.is_inference()
    weight = torch.ones(features.shape[1], requires_grad=True)
    (weight @ features).square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.isfinite().all()
    assert (weight.grad != 0).all()
