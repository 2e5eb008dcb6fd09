from __future__ import annotations

import io
import os
import signal
import struct
import sys
import tarfile
import tempfile
import tracemalloc
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
import soundfile
import torch

from soundsep import AudioError, ConfigError, load_audio
from soundsep.audio import resample
from soundsep.audio.checks import MAX_CHANNELS
from soundsep.audio.file import AudioFile, UnreadableError
from soundsep.audio.ogg import settle_ogg
from soundsep.audio.resampling import _ratio
from soundsep.interrupts import interrupts_held

RATE = 16_000
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
}
LOSSY = {"ogg", "opus", "mp3"}


def tone(hz: float = 440.0, rate: int = RATE, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def encoded(kind: str, samples: np.ndarray, rate: int = RATE) -> bytes:
    container, subtype = FORMATS[kind]
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_sound(kind, tmp_path):
    data = encoded(kind, np.stack([tone(), tone()], axis=1))
    path = tmp_path / f"clip.{kind}"
    path.write_bytes(data)
    waveform, rate = load_audio(path)
    assert rate == RATE
    assert waveform.dtype == torch.float32
    reference = torch.from_numpy(tone()).float()
    n = min(len(waveform), len(reference))
    assert abs(len(waveform) - RATE) <= (2400 if kind in LOSSY else 0)
    spectra = [torch.fft.rfft(w[:n]).abs() for w in (waveform, reference)]
    similarity = torch.cosine_similarity(spectra[0], spectra[1], dim=0)
    assert similarity > (0.98 if kind in LOSSY else 0.99999)


@pytest.mark.parametrize("kind", FORMATS)
def test_path_string_bytes_and_file_object_agree(kind, tmp_path):
    data = encoded(kind, tone())
    path = tmp_path / f"clip.{kind}"
    path.write_bytes(data)
    reference, _ = load_audio(path)
    with path.open("rb") as file:
        others = [load_audio(a)[0] for a in (str(path), data, io.BytesIO(data), file)]
    assert all(torch.equal(reference, other) for other in others)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("seconds", [0.1, 1.0, 15.0])
def test_a_waveform_keeps_hardly_more_memory_than_it_takes(kind, seconds):
    data = encoded(kind, tone(seconds=seconds))
    load_audio(data)  # what is kept for all later ones
    tracemalloc.start()
    try:
        waveform, _ = load_audio(data)
        n_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_bytes <= 1.4 * waveform.nbytes + 2**14


def test_a_wrong_extension_does_not_matter(tmp_path):
    path = tmp_path / "clip.mp3"
    path.write_bytes(encoded("flac", tone()))
    assert load_audio(path)[0].shape == (RATE,)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
def test_arrays_of_every_dtype_give_the_same_sound(dtype, make):
    scale = {np.int16: 2**15, np.int32: 2**31}.get(dtype, 1)
    samples = (tone() * scale).astype(dtype)
    waveform, _ = load_audio(make(samples), sample_rate=RATE)
    torch.testing.assert_close(waveform, torch.from_numpy(tone()).float(), atol=4e-5, rtol=0)


@pytest.mark.parametrize(
    "layout",
    [
        lambda samples: samples.astype(">f4"),
        lambda samples: (samples * 2**15).astype(">i2"),
        lambda samples: samples[::-1].copy()[::-1],
        lambda samples: np.repeat(samples, 2)[::2],
        lambda samples: np.broadcast_to(samples, (2, len(samples))),  # read-only, no stride
        lambda samples: np.asfortranarray(np.stack([samples, samples])),
        lambda samples: np.ma.masked_invalid(samples),  # none is
    ],
)
def test_arrays_of_every_layout_give_the_same_sound(layout):
    waveform, _ = load_audio(layout(tone()), sample_rate=RATE)
    torch.testing.assert_close(waveform, torch.from_numpy(tone()).float(), atol=4e-5, rtol=0)


def test_channels_are_averaged_or_kept():
    stereo = np.stack([np.full(100, 0.2), np.full(100, 0.4)])
    torch.testing.assert_close(load_audio(stereo, sample_rate=RATE)[0], torch.full((100,), 0.3))
    assert load_audio(stereo, sample_rate=RATE, mono=False)[0].shape == (2, 100)


def test_eight_channels_in_a_file_are_averaged():
    data = encoded("wav", np.tile(tone()[:, None], (1, 8)))
    waveform, _ = load_audio(data)
    torch.testing.assert_close(waveform, torch.from_numpy(tone()).float(), atol=4e-5, rtol=0)


def test_the_input_is_neither_changed_nor_shared():
    samples = np.full(100, 0.5, dtype=np.float32)
    waveform, _ = load_audio(samples, sample_rate=RATE)
    waveform.zero_()
    assert (samples == 0.5).all()


def test_a_tensor_that_requires_grad_is_taken():
    assert load_audio(torch.ones(100, requires_grad=True), sample_rate=RATE)[0].shape == (100,)


def test_the_imaginary_part_of_a_conjugate_is_taken():
    signal = torch.full((100,), 0.5j, dtype=torch.complex64).conj().imag
    assert (load_audio(signal, sample_rate=RATE)[0] == -0.5).all()


def test_an_array_without_rate_is_at_the_target_rate():
    samples = tone().astype(np.float32)
    assert torch.equal(load_audio(samples, target_rate=RATE)[0], torch.from_numpy(samples))
    with pytest.raises(ConfigError, match="sample_rate"):
        load_audio(samples)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0), "no samples"),
        (np.zeros((2, 0)), "no samples"),
        (np.zeros((1, 2, 3)), "shape"),
        (np.array(1.0), "shape"),
        (np.zeros((1000, 2)), "transpose"),
        (np.zeros((MAX_CHANNELS + 1, 100)), "channels"),
        (np.array([0.0, np.nan]), "NaN"),
        (np.array([0.0, -np.inf]), "NaN"),
        (np.array([0.0, 1e300]), "NaN"),
        (np.array([0.0, 1e20]), "peak"),
        (np.zeros(10, dtype=np.uint8), "uint8"),
        (np.zeros(10, dtype=bool), "bool"),
        (np.zeros(10, dtype=complex), "complex"),
        (torch.zeros(10, dtype=torch.bfloat16), "bfloat16"),
        (torch.zeros(10, dtype=torch.int64), "int64"),
        (np.array(["a"]), "expected samples"),
        (torch.zeros(3, 10).to_sparse(), "dense"),
        (torch.zeros(10, device="meta"), "dense"),
        (np.ma.masked_greater(np.linspace(0.0, 1.0, 10), 0.5), "masked"),
        (np.ma.masked_all((2, 10)), "masked"),
    ],
)
def test_bad_arrays_are_refused(samples, message):
    with pytest.raises(AudioError, match=message):
        load_audio(samples, sample_rate=RATE)


@pytest.mark.parametrize("rate", [-1, 0, 1, 999, 768_001, 2**31, 16_000.5])
def test_absurd_rates_are_refused(rate):
    with pytest.raises(AudioError, match="sample rate"):
        load_audio(np.ones(100), sample_rate=rate)


@pytest.mark.parametrize("rate", [1, 8_000.5, float("nan")])
def test_an_absurd_target_rate_is_refused(rate):
    with pytest.raises(ConfigError, match="target_rate"):
        load_audio(np.ones(100), sample_rate=RATE, target_rate=rate)


@pytest.mark.parametrize("make", [float, np.float64, np.int32, np.uint16])
def test_a_whole_rate_of_any_type_will_do(make):
    samples = tone(rate=44_100)
    waveform, rate = load_audio(samples, sample_rate=make(44_100), target_rate=make(RATE))
    assert type(rate) is int
    assert torch.equal(waveform, load_audio(samples, sample_rate=44_100, target_rate=RATE)[0])
    assert _ratio(make(44_100), RATE) == Fraction(160, 441)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ("no/such/file.wav", "does not exist"),
        (b"", "cannot be read as audio: it is an empty file"),
        (b"these are words, not sounds" * 100, "cannot be read as audio: it is a text file"),
        (io.StringIO("text"), "binary mode"),
        ("https://example.org/a.wav", "https://example.org/a.wav is an address"),
        (None, "NoneType"),
        (3, "int"),
        ([0.0, 1.0], "list"),
    ],
)
def test_what_is_not_audio_is_refused(audio, message):
    with pytest.raises(AudioError, match=message):
        load_audio(audio)


class Reader:
    """A file object of somebody else's."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def read(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_file_objects_that_give_nothing_are_refused(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(encoded("wav", tone()))
    with path.open() as text, pytest.raises(AudioError, match="binary mode"):
        load_audio(text)
    closed = path.open("rb")
    closed.close()
    for file, message in [
        (closed, "closed file"),
        (Reader(OSError("network gone")), "network gone"),
        (Reader("text"), "gives str"),
        (Reader(None), "gives NoneType"),
    ]:
        with pytest.raises(AudioError, match=message):
            load_audio(file)
    with path.open("rb") as file:
        load_audio(file)
        with pytest.raises(AudioError, match="seek to its beginning"):
            load_audio(file)
    with tempfile.TemporaryFile() as unnamed:
        unnamed.write(b"not a sound")
        unnamed.seek(0)
        with pytest.raises(AudioError, match="the file object cannot"):
            load_audio(unnamed)


def test_bytes_of_any_kind_are_read():
    data = encoded("wav", tone())
    spread = bytearray(2 * len(data))
    spread[::2] = data
    every_second = memoryview(spread)[::2]
    for audio in (bytearray(data), every_second, Reader(bytearray(data))):
        assert load_audio(audio)[0].shape == (RATE,)


def test_members_of_archives_are_read():
    data, packed = encoded("wav", tone()), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("a.wav", "b.wav"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    for mode in ("r:", "r|"):  # the second seeks nowhere
        packed.seek(0)
        with tarfile.open(fileobj=packed, mode=mode) as archive:
            shapes = [load_audio(archive.extractfile(member))[0].shape for member in archive]
        assert shapes == [(RATE,)] * 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_said_to_be_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AudioError, match="is a pipe"):
        load_audio(tmp_path / "pipe")


def test_a_folder_and_a_headerless_file_are_refused(tmp_path):
    with pytest.raises(AudioError, match="the path is empty"):
        load_audio("")
    with pytest.raises(AudioError, match="is a folder"):
        load_audio(tmp_path)
    raw = tmp_path / "clip.raw"
    raw.write_bytes(bytes(1000))
    with pytest.raises(AudioError, match="it is zero bytes where its header should be"):
        load_audio(raw)


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-of-that-name/clip.wav", "a\0b.wav"])
def test_names_that_no_file_has_are_refused(name):
    with pytest.raises(AudioError, match=r"cannot be opened|does not exist"):
        load_audio(name)


def test_what_is_called_raw_and_is_not_is_read(tmp_path):
    path = tmp_path / "clip.raw"
    path.write_bytes(encoded("wav", tone()))
    assert load_audio(path)[0].shape == (RATE,)


def test_a_sample_dump_is_refused(capfd):
    """libsndfile answers to a damaged one on standard output, where results of commands belong."""
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(), RATE, format="SDS", subtype="PCM_16")
    data = buffer.getvalue()
    with pytest.raises(AudioError, match="MIDI sample dump"):
        load_audio(data[:500] + data[600:])
    assert capfd.readouterr() == ("", "")


UPLOADS = [tempfile.SpooledTemporaryFile, tempfile.NamedTemporaryFile]  # of servers


@pytest.mark.parametrize("kind", UPLOADS)
def test_an_upload_is_read_in_place(kind):
    if kind is tempfile.SpooledTemporaryFile and sys.version_info < (3, 11):
        pytest.skip("it cannot tell that it is seekable")
    data = encoded("wav", tone())
    with kind() as upload:
        upload.write(data)
        upload.seek(0)
        file = AudioFile(upload)
        assert file._file is upload
        file.close()
        assert torch.equal(load_audio(upload)[0], load_audio(data)[0])
        assert not upload.closed


@pytest.mark.parametrize("kind", UPLOADS)
def test_an_empty_upload_is_said_to_be_empty(kind):
    with kind() as upload, pytest.raises(AudioError, match="empty"):
        load_audio(upload)
    with kind(mode="w+") as upload, pytest.raises(AudioError, match="open it in binary mode"):
        load_audio(upload)


class Deciphered:
    """An object that reads from a file, and gives other bytes than are in it."""

    def __init__(self, data):
        self.file = io.BytesIO(data[::-1])
        self.tell, self.seekable = self.file.tell, self.file.seekable

    def read(self):
        return self.file.read()[::-1]


def test_an_object_around_a_file_is_asked_for_what_it_gives():
    data = encoded("wav", tone())
    assert torch.equal(load_audio(Deciphered(data))[0], load_audio(data)[0])


class Failing(io.BytesIO):
    """A file on a disk that breaks after some bytes."""

    failure: BaseException = OSError(5, "Input/output error")

    def readinto(self, buffer):
        if self.tell() > 8_000:
            raise self.failure
        return super().readinto(buffer)


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_a_disk_that_fails_is_not_the_end_of_the_recording(kind, capfd):
    data = encoded(kind, np.random.default_rng(0).uniform(-1, 1, RATE * 5))
    with pytest.raises(AudioError, match="Input/output error"):
        load_audio(Failing(data))
    assert capfd.readouterr().err == ""


def test_an_interrupt_while_reading_is_not_lost():
    file = Failing(encoded("wav", tone()))
    file.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        load_audio(file)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises, also where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupted(io.BytesIO):
    """A file during whose n-th call a signal comes; by default the user presses Ctrl-C."""

    def __init__(self, data: bytes, n_calls: int, number: int = signal.SIGINT) -> None:
        super().__init__(data)
        self.n_left, self.number = n_calls, number

    def _count(self) -> None:
        self.n_left -= 1
        if self.n_left == 0:
            signal.raise_signal(self.number)

    def seek(self, *args):
        self._count()
        return super().seek(*args)

    def readinto(self, buffer):
        self._count()
        return super().readinto(buffer)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("kind", ["wav", "flac", "mp3"])
def test_an_interrupt_at_any_call_is_not_lost(kind, capfd):
    data = encoded(kind, tone(seconds=0.1))
    handler = signal.getsignal(signal.SIGINT)
    n_calls, stopped = 0, True
    while stopped:
        n_calls += 1
        file, stopped = Interrupted(data, n_calls), False
        try:
            load_audio(file)
        except KeyboardInterrupt:
            stopped = True
        assert stopped == (file.n_left <= 0)
        assert signal.getsignal(signal.SIGINT) is handler
    assert n_calls > 10
    assert "KeyboardInterrupt" not in capfd.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has other signals")
@pytest.mark.parametrize("kind", ["wav", "flac", "mp3"])
def test_a_time_limit_at_any_call_is_not_taken_for_damage(kind, capfd):
    """Queues of jobs raise from an alarm, and no ``KeyboardInterrupt``."""

    class TimeLimitError(Exception):
        pass

    def handler(number, frame):
        raise TimeLimitError

    data, n_calls, stopped = encoded(kind, tone(seconds=0.1)), 0, True
    before = signal.signal(signal.SIGALRM, handler)
    try:
        while stopped:
            n_calls += 1
            file, stopped = Interrupted(data, n_calls, signal.SIGALRM), False
            try:
                load_audio(file)
            except TimeLimitError:
                stopped = True
            assert stopped == (file.n_left <= 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert n_calls > 10
    assert "TimeLimitError" not in capfd.readouterr().err


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_interrupt_is_not_held_back():
    seen = []

    def interrupt_twice() -> None:
        with interrupts_held():
            for i in range(2):
                signal.raise_signal(signal.SIGINT)
                seen.append(i)

    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()
    assert seen == [0]


def test_in_a_thread_no_handler_is_set():
    with ThreadPoolExecutor() as pool:
        waveform, _ = pool.submit(load_audio, encoded("wav", tone())).result()
    assert len(waveform) == RATE


def test_a_file_without_samples_is_refused():
    with pytest.raises(AudioError, match="no samples"):
        load_audio(encoded("wav", np.zeros(0)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_file_with_nan_is_refused(bad):
    buffer = io.BytesIO()
    samples = tone()
    samples[5_000] = bad
    soundfile.write(buffer, samples, RATE, format="WAV", subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        load_audio(buffer.getvalue())


@pytest.mark.parametrize("kind", ["wav", "flac", "aiff", "au", "caf", "w64", "rf64"])
def test_a_truncated_file_is_refused(kind):
    data = encoded(kind, np.random.default_rng(0).uniform(-1, 1, RATE * 3))
    assert load_audio(data)[0].shape == (RATE * 3,)
    with pytest.raises(AudioError):
        load_audio(data[: len(data) // 2])


def test_a_file_may_lack_one_sample_in_a_hundred():
    data = encoded("wav", np.random.default_rng(0).uniform(-1, 1, 10_000))
    assert load_audio(data[: -2 * 100])[0].shape == (9_900,)
    with pytest.raises(AudioError, match="truncated: only 99%"):
        load_audio(data[: -2 * 101])


@pytest.mark.parametrize("kind", ["mp3", "ogg", "opus"])
def test_half_a_stream_is_a_shorter_recording(kind):
    """Formats made to be cut anywhere: their length is where they end."""
    data = encoded(kind, np.random.default_rng(0).uniform(-1, 1, RATE * 3))
    assert 0.5 * RATE < len(load_audio(data[: len(data) // 2])[0]) < 2.5 * RATE


@pytest.mark.parametrize("data_bytes", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF - 36])
def test_a_length_left_open_by_a_pipe_is_not_a_truncation(data_bytes):
    assert load_audio(wav_header(data_bytes=data_bytes) + bytes(RATE))[0].shape == (RATE // 2,)


@pytest.mark.parametrize("data_bytes", [2_000_000_000, 2_200_000_000, 4_000_000_000])
def test_a_second_of_a_wav_of_gigabytes_is_a_truncation(data_bytes):
    with pytest.raises(AudioError, match="truncated"):
        load_audio(wav_header(data_bytes=data_bytes) + bytes(2 * RATE))


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_streams_joined_in_one_ogg_are_refused(kind):
    """libsndfile reads the first and says nothing of the others."""
    with pytest.raises(AudioError, match="several Ogg streams"):
        load_audio(encoded(kind, tone()) + encoded(kind, tone()))


def ogg_page(flags: int, n_bytes: int) -> bytes:
    lacing = bytes([255] * (n_bytes // 255) + [n_bytes % 255])
    return b"OggS\0" + bytes([flags]) + bytes(20) + bytes([len(lacing)]) + lacing + bytes(n_bytes)


@pytest.mark.parametrize(
    ("flags", "chained"),
    [([2, 2, 0, 0, 4, 4], False), ([2, 0, 2], True), ([2, 4, 2, 4], True), ([], False)],
)
def test_ogg_streams_are_chained_where_one_begins_late(flags, chained):
    data = b"".join(ogg_page(flag, 1 + 1_000 * i) for i, flag in enumerate(flags))
    file = AudioFile(data + b"junk")
    if chained:
        with pytest.raises(UnreadableError, match="several Ogg streams"):
            settle_ogg(file)
    else:
        settle_ogg(file)
        assert file.size == (len(data) or len(b"junk"))


def ogg_page_at(granule: int, n_bytes: int) -> bytes:
    """A page that states a position; without contents it has no segments either."""
    page = ogg_page(2, n_bytes) if n_bytes else b"OggS\0\2" + bytes(21)
    return page[:6] + granule.to_bytes(8, "little") + page[14:]


def test_the_last_position_of_an_ogg_is_known_if_all_pages_are():
    largest = 254 * 255 + 10  # bytes of a page of 255 segments
    positions = [(100, 500), (2**64 - 1, largest), (300, 10), (200, 0)]  # the second states none
    data = b"".join(ogg_page_at(*page) for page in positions)
    for after in (b"", b"junk" * 100):
        file = AudioFile(data + after)
        assert settle_ogg(file) == 300
        assert file.size == len(data)
    for damaged in (data[:600] + b"x" + data[600:], data[:-1], data + b"xOggS"):
        file = AudioFile(damaged)
        assert settle_ogg(file) is None
        assert file.size == len(damaged)


def test_a_stream_of_nothing_but_headers_is_refused():
    data = encoded("ogg", tone())
    with pytest.raises(AudioError):
        load_audio(data[:4_000])


def wav_header(*, channels: int = 1, rate: int = RATE, data_bytes: int = 0) -> bytes:
    block = channels * 2
    fmt = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) % 2**32, block % 2**16, 16)
    riff = struct.pack("<4sI4s4sI", b"RIFF", (36 + data_bytes) % 2**32, b"WAVE", b"fmt ", 16)
    return riff + fmt + struct.pack("<4sI", b"data", data_bytes)


def test_a_header_that_promises_gigabytes_costs_nothing():
    data = wav_header(data_bytes=2**32 - 2) + bytes(RATE)
    tracemalloc.start()
    try:
        waveform, _ = load_audio(data)
        assert len(waveform) == RATE // 2
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 64 * 2**20


def test_a_flac_header_that_promises_terabytes_is_caught():
    data = bytearray(encoded("flac", tone()))
    # STREAMINFO holds the number of samples in 36 bits from the 13th byte of its body on
    body = data.index(b"fLaC") + 8
    data[body + 13] |= 0x0F
    data[body + 14 : body + 18] = b"\xff\xff\xff\xff"
    tracemalloc.start()
    try:
        with pytest.raises(AudioError):
            load_audio(bytes(data))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 64 * 2**20


@pytest.mark.parametrize("header", [{"rate": 2**31 - 1}, {"rate": 1}, {"channels": 1000}])
def test_absurd_headers_are_refused(header):
    with pytest.raises(AudioError):
        load_audio(wav_header(data_bytes=8000, **header) + bytes(8000))


def test_a_recording_too_long_for_memory_is_refused(monkeypatch):
    monkeypatch.setattr("soundsep.audio.load.MAX_SAMPLES", RATE)
    with pytest.raises(AudioError, match="longer than"):
        load_audio(encoded("wav", tone(seconds=1.5)))
    just_fits = np.zeros(RATE)
    assert load_audio(encoded("wav", just_fits))[0].shape == (RATE,)
    with pytest.raises(AudioError, match="longer than"):
        load_audio(encoded("wav", np.append(just_fits, 0)))
    stereo = np.stack([tone(seconds=0.75)] * 2)
    assert load_audio(stereo, sample_rate=RATE)[1] == RATE
    with pytest.raises(AudioError, match="2 channels"):
        load_audio(stereo, sample_rate=RATE, mono=False)
    for audio in (encoded("wav", tone(seconds=0.5)), tone(seconds=0.5)):
        assert load_audio(audio, sample_rate=RATE, target_rate=2 * RATE)[1] == 2 * RATE
        with pytest.raises(AudioError, match="in memory at 48000 Hz"):
            load_audio(audio, sample_rate=RATE, target_rate=3 * RATE)


@pytest.mark.parametrize("audio", [encoded("wav", tone()), tone()])
def test_what_cannot_be_resampled_in_the_memory_there_is_is_refused(audio, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("soundsep.audio.load.resample", fail)
    with pytest.raises(AudioError, match=r"the (recording|array) does not fit into memory"):
        load_audio(audio, sample_rate=RATE, target_rate=8_000)


def test_a_file_that_does_not_fit_into_memory_is_named(tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("soundsep.audio.load.resample", fail)
    path = tmp_path / "long.wav"
    path.write_bytes(encoded("wav", tone()))
    with pytest.raises(AudioError, match=r"long\.wav does not fit into memory"):
        load_audio(path, target_rate=8_000)


def test_wav_as_written_by_the_standard_library():
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((tone() * 2**15).astype("<i2").tobytes())
    assert load_audio(buffer.getvalue())[0].shape == (RATE,)


@pytest.mark.parametrize(
    ("given", "target"),
    [(44_100, 16_000), (48_000, 16_000), (8_000, 16_000), (11_127, 32_000), (96_000, 16_000)],
)
def test_resampling_keeps_a_tone_and_its_level(given, target):
    waveform = torch.from_numpy(tone(1000.0, given, seconds=0.5)).float()
    out = resample(waveform, given, target)
    assert len(out) == -(-len(waveform) * target // given)
    reference = torch.from_numpy(tone(1000.0, target, seconds=0.5)).float()
    n, edge = min(len(out), len(reference)), len(reference) // 10
    torch.testing.assert_close(out[edge : n - edge], reference[edge : n - edge], atol=3e-3, rtol=0)


@pytest.mark.parametrize(("given", "target"), [(44_100, 16_000), (48_000, 16_000)])
def test_resampling_has_the_documented_bands(given, target):
    def level_db(hz: float) -> float:
        out = resample(torch.from_numpy(tone(hz, given)).float(), given, target)
        return 20 * float(torch.log10(out[500:-500].square().mean().sqrt() * 8**0.5))

    nyquist = target / 2
    assert all(abs(level_db(share * nyquist)) < 0.2 for share in (0.05, 0.5, 0.7, 0.85))
    assert all(level_db(share * nyquist) < -60 for share in (1.03, 1.1, 1.5, 1.9, 2.5))


def test_resampling_at_the_same_rate_is_the_identity():
    waveform = torch.randn(2, 100)
    assert resample(waveform, RATE, RATE) is waveform


def test_resampling_between_coprime_rates_stays_small():
    waveform = torch.zeros(11_127 * 5)
    tracemalloc.start()
    try:
        assert resample(waveform, 11_127, 32_000).shape == (32_000 * 5,)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 2**20


def test_the_approximated_ratio_is_off_by_less_than_documented():
    rng = np.random.default_rng(0)
    for given in [264_604, *rng.integers(2**15, 768_000, 300).tolist()]:
        for rates in ((given, 16_000), (44_100, given)):
            assert abs(_ratio(*rates) * rates[0] / rates[1] - 1) < 2e-5


def test_a_dash_is_no_standard_input():
    with pytest.raises(AudioError, match="standard input is not read: save it as a file"):
        load_audio("-")


def test_a_reason_of_the_system_does_not_name_the_file_twice(tmp_path):
    with pytest.raises(AudioError) as caught:
        load_audio(tmp_path / ("x" * 300))
    assert str(caught.value).count("x" * 300) == 1
    assert "Errno" not in str(caught.value)
