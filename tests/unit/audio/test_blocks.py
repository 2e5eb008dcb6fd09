from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch

from soundsep import AudioError, ConfigError, load_audio
from soundsep.audio import StreamingResampler, audio_blocks, resample

RATES = [
    (44_100, 16_000),
    (44_100, 32_000),
    (48_000, 16_000),
    (22_050, 32_000),
    (11_025, 16_000),
    (96_000, 16_000),
    (11_127, 16_000),
    (16_000, 16_000),
]


def noise(n_samples: int, *channels: int) -> torch.Tensor:
    return torch.rand(*channels, n_samples, generator=torch.Generator().manual_seed(0)) * 2 - 1


def wav(samples: np.ndarray, rate: int = 44_100, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(("given", "target"), RATES)
@pytest.mark.parametrize("size", [997, 30_011, 10**6])
def test_blocks_resampled_are_the_whole_resampled(given, target, size):
    signal = noise(2 * given + 123, 2)
    resampler = StreamingResampler(given, target)
    for _ in range(2):  # once flushed, it takes another signal
        blocks = [resampler.push(block) for block in signal.split(size, dim=-1)]
        joined = torch.cat([*blocks, resampler.flush()], dim=-1)
        whole = resample(signal, given, target)
        assert joined.shape == whole.shape
        assert (joined - whole).abs().max() <= 1e-6


def test_single_samples_resampled_are_the_whole_resampled():
    signal = noise(20_000)
    resampler = StreamingResampler(44_100, 16_000)
    joined = torch.cat([*(resampler.push(sample) for sample in signal.split(1)), resampler.flush()])
    torch.testing.assert_close(joined, resample(signal, 44_100, 16_000), atol=1e-6, rtol=0)


def test_the_resampler_counts_exactly_in_constant_memory():
    resampler = StreamingResampler(44_100, 16_000)
    block = torch.zeros(44_100 * 60 + 1)
    peaks, n_out = [], 0
    for _ in range(3):
        tracemalloc.start()
        for _ in range(6):
            n_out += len(resampler.push(block))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    n_out += len(resampler.flush())
    assert n_out == -(-len(block) * 18 * 16_000 // 44_100)
    assert peaks[2] < 1.05 * peaks[0]


@pytest.mark.parametrize("mono", [True, False])
@pytest.mark.parametrize("target", [None, 16_000])
def test_the_blocks_of_a_file_are_the_file(mono, target, tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(wav(noise(100_000, 2).T.numpy()))
    whole, rate = load_audio(path, target_rate=target, mono=mono)
    with path.open("rb") as file:
        for audio in (path, path.read_bytes(), file):
            blocks = audio_blocks(audio, target_rate=target, mono=mono, block_samples=9_999)
            assert (blocks.sample_rate, blocks.n_channels) == (rate, 2)
            assert blocks.duration_seconds == pytest.approx(100_000 / 44_100)
            parts = list(blocks)
            assert len(parts) > 5
            assert torch.equal(torch.cat(parts, dim=-1), whole)
        assert not file.closed


@pytest.mark.parametrize("mono", [True, False])
@pytest.mark.parametrize("target", [None, 32_000])
@pytest.mark.parametrize(
    ("container", "subtype", "n_channels"),
    [
        ("WAV", "PCM_24", 17),
        ("WAV", "IMA_ADPCM", 1),
        ("FLAC", "PCM_16", 2),
        ("OGG", "VORBIS", 2),
        ("OGG", "OPUS", 1),
        ("MP3", "MPEG_LAYER_III", 1),
        ("CAF", "ALAC_16", 2),
    ],
)
def test_blocks_of_any_size_are_the_file_to_the_bit(container, subtype, n_channels, target, mono):
    buffer = io.BytesIO()
    samples = noise(20_000, n_channels).T.numpy() / 2
    soundfile.write(buffer, samples, 24_000, format=container, subtype=subtype)
    data = buffer.getvalue()
    whole = load_audio(data, target_rate=target, mono=mono)[0]
    for size in (n_channels, 7_919, 2**17):
        blocks = list(audio_blocks(data, target_rate=target, mono=mono, block_samples=size))
        assert torch.equal(torch.cat(blocks, dim=-1), whole)


def test_an_array_gives_blocks_too():
    samples = noise(50_000).numpy()
    blocks = list(audio_blocks(samples, target_rate=16_000, block_samples=20_000))
    assert [len(block) for block in blocks] == [20_000, 20_000, 10_000]
    assert torch.equal(torch.cat(blocks), torch.from_numpy(samples))
    with pytest.raises(ConfigError, match="sample_rate"):
        audio_blocks(samples)
    with pytest.raises(ConfigError, match="block_samples"):
        audio_blocks(samples, sample_rate=16_000, block_samples=0)


@pytest.mark.parametrize("is_file", [False, True])
def test_once_closed_there_are_no_more_blocks(is_file):
    samples = noise(50_000).numpy()
    audio = wav(samples) if is_file else samples
    rate = None if is_file else 16_000
    with audio_blocks(audio, sample_rate=rate, block_samples=20_000) as blocks:
        assert len(next(blocks)) == 20_000
    assert list(blocks) == []


def test_what_is_wrong_is_raised_where_it_is_met():
    samples = noise(100_000).numpy()
    samples[70_000] = np.nan
    blocks = audio_blocks(wav(samples, subtype="FLOAT"), block_samples=20_000)
    assert [len(next(blocks)) for _ in range(3)] == [20_000] * 3
    with pytest.raises(AudioError, match="NaN"):
        next(blocks)
    data = wav(noise(100_000).numpy())
    with pytest.raises(AudioError, match="truncated"):
        list(audio_blocks(data[: len(data) // 2]))


def test_blocks_are_not_bound_by_what_fits_in_memory(monkeypatch):
    monkeypatch.setattr("soundsep.audio.load.MAX_SAMPLES", 10_000)
    data = wav(noise(100_000).numpy())
    assert sum(map(len, audio_blocks(data))) == 100_000
    with pytest.raises(AudioError, match="longer than"):
        load_audio(data)


class EndlessWav(io.RawIOBase):
    """A WAV of any length, made as it is read."""

    def __init__(self, n_samples: int, rate: int) -> None:
        empty = wav(np.zeros(0), rate)
        n_bytes = 2 * n_samples
        size = (len(empty) - 8 + n_bytes).to_bytes(4, "little")
        self.head = empty[:4] + size + empty[8:-4] + n_bytes.to_bytes(4, "little")
        self.length, self.position = len(self.head) + n_bytes, 0
        self.noise = (noise(2**15) * 2**14).short().numpy().tobytes()

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + (0, self.position, self.length)[whence]
        return self.position

    def readinto(self, buffer) -> int:
        n = min(len(buffer), self.length - self.position)
        start = self.position - len(self.head)
        if start < 0:
            n = min(n, -start)
            buffer[:n] = self.head[self.position : self.position + n]
        else:
            at = start % len(self.noise)
            n = min(n, len(self.noise) - at)
            buffer[:n] = self.noise[at : at + n]
        self.position += n
        return n


def test_memory_does_not_grow_with_the_length():
    peaks = []
    for minutes in (1, 1, 8):
        audio = EndlessWav(44_100 * 60 * minutes, 44_100)
        tracemalloc.start()
        n_samples = sum(map(len, audio_blocks(audio, target_rate=16_000)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n_samples == 16_000 * 60 * minutes
    assert peaks[2] < 1.05 * peaks[1]


@pytest.mark.parametrize("rates", [("a", 5), (5, "a"), (16_000, float("nan")), (True, 5)])
def test_what_is_no_rate_is_refused(rates):
    with pytest.raises(ConfigError, match="a rate must be a number"):
        resample(torch.zeros(10), *rates)


@pytest.mark.parametrize("target", [44_100, 16_000])
@pytest.mark.parametrize("size", [997, 30_011, 2**20])
def test_all_before_damage_is_heard(target, size):
    """Also what a block, the channels' mix and the resampler held when it was reached."""
    signal = noise(4 * 44_100, 2).numpy().T
    data = wav(signal)
    n_left = 3 * 44_100 + 17
    cut = data[: len(data) - 4 * (len(signal) - n_left)]
    whole = load_audio(wav(signal[:n_left]), target_rate=target)[0]
    heard = []
    with pytest.raises(AudioError, match=r"truncated: only 75%"):  # noqa: PT012 - the last of them
        for block in audio_blocks(cut, target_rate=target, block_samples=size):
            heard.append(block)
    torch.testing.assert_close(torch.cat(heard), whole, atol=1e-6, rtol=0)
