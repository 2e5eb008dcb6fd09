"""MP3 to its last frame, whatever stands around the frames."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import struct
import time

import numpy as np
import pytest
import soundfile
import torch

from soundsep import AudioError, load_audio
from soundsep.audio import audio_blocks
from soundsep.audio.file import AudioFile
from soundsep.audio.mpeg import count_samples, frame

SECONDS = 6
DELAY = 528 + 1 + 576  # of decoder and encoder, which a file that counts its frames leaves out


def sound(rate: int, n_channels: int = 1) -> np.ndarray:
    """Loud noise, then a soft tone: the first frames are the longest of a variable bit rate."""
    rng = np.random.default_rng(0)
    times = np.arange(SECONDS * rate) / rate
    noise = rng.uniform(-0.5, 0.5, (len(times), n_channels)) * (times < 0.5)[:, None]
    return noise + 0.1 * np.sin(2 * np.pi * 440 * times)[:, None]


@functools.cache
def counted(rate: int = 22_050, n_channels: int = 1, level: float = 0.9) -> bytes:
    """An MP3 of variable bit rate whose first frame counts the others."""
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        sound(rate, n_channels),
        rate,
        format="MP3",
        bitrate_mode="VARIABLE",
        compression_level=level,
    )
    data = buffer.getvalue()
    return data[data.index(b"\xff", 10 if data.startswith(b"ID3") else 0) :]


def piped(*args) -> bytes:
    """The same as an encoder leaves it that cannot go back to count."""
    data = counted(*args)
    return data[frame(data[:4]).n_bytes :]


def ends_of_frames(data: bytes) -> list[int]:
    """Where the first 60 frames end, the place of the first before them."""
    ends = [0]
    for _ in range(60):
        ends.append(ends[-1] + frame(data[ends[-1] : ends[-1] + 4]).n_bytes)
    return ends


def id3v2(n_bytes: int, footer: bool = False) -> bytes:
    size = bytes(n_bytes >> shift & 127 for shift in (21, 14, 7, 0))
    flags = b"\x10" if footer else b"\0"
    tag = b"ID3\4\0" + flags + size + b"x" * n_bytes
    return tag + (b"3DI\4\0" + flags + size if footer else b"")


def ape_footer(n_bytes: int, flags: int) -> bytes:
    return b"APETAGEX" + struct.pack("<4I", 2000, n_bytes, 1, flags) + bytes(8)


def ape(n_bytes: int) -> bytes:
    ends = [ape_footer(n_bytes + 32, flags) for flags in (0xA0000000, 0x80000000)]
    # Its content looks like frames of another recording, of 384 bytes each.
    return ends[0] + b"\xff\xfb\x94\x64" * (n_bytes // 4) + ends[1]


ID3V1 = b"TAG" + b"A song".ljust(125, b"\0")
LYRICS = b"LYRICSBEGIN" + b"la" * 300 + b"000611LYRICS200"
JUNK = np.random.default_rng(1).bytes(20_001)


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
@pytest.mark.parametrize("level", [0.1, 0.9])
def test_without_a_count_all_frames_are_heard(rate, n_channels, level):
    whole, _ = load_audio(counted(rate, n_channels, level), mono=False)
    heard, heard_rate = load_audio(piped(rate, n_channels, level), mono=False)
    assert whole.shape == (n_channels, SECONDS * rate)
    assert heard_rate == rate
    assert DELAY <= heard.shape[1] - whole.shape[1] < DELAY + 2 * 1152
    part = heard[:, DELAY : DELAY + whole.shape[1]]
    assert torch.equal(part[:, 2_000:], whole[:, 2_000:])


@pytest.mark.parametrize("data", [counted(), piped(), counted(44_100, 2), piped(44_100, 2)])
def test_blocks_of_any_size_are_what_is_decoded_in_one_go(data):
    """soundfile's own reading in parts seeks, and gives wrong samples at their borders."""
    whole = load_audio(data, mono=False)[0]
    if b"Xing" in data[:100] or b"Info" in data[:100]:
        expected = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
        np.testing.assert_allclose(whole.numpy(), expected.T, atol=1e-6)
    for size in (401, 1_152, 30_000, 10**6):
        blocks = list(audio_blocks(data, mono=False, block_samples=size))
        assert torch.equal(torch.cat(blocks, dim=1), whole)


@pytest.mark.parametrize(
    "before",
    [b"", id3v2(700), id3v2(300, footer=True) + id3v2(90_000), bytes(1_000), bytes(70_000)],
)
@pytest.mark.parametrize(
    "after",
    [
        b"",
        ID3V1,
        ape(5_000),
        ape(5_000) + ID3V1,
        b"x" * 700 + ape_footer(732, flags=0),  # without a header
        ape_footer(10**9, flags=0x80000000),  # longer than the file
        ape_footer(5, flags=0),  # shorter than itself
        b"999999LYRICS200",
        LYRICS + ID3V1,
        4 * JUNK,
        JUNK[:300],
        bytes(30_000),
    ],
)
@pytest.mark.parametrize("make", [counted, piped])
def test_what_stands_around_the_frames_is_not_heard(before, after, make, capfd):
    assert torch.equal(load_audio(before + make() + after)[0], load_audio(make())[0])
    assert "error" not in capfd.readouterr().err


def test_a_tag_and_zeros_before_the_frames_are_not_heard():
    for n_bytes in (100, 90_000, 2**21 + 7):
        data = id3v2(70) + bytes(500) + id3v2(n_bytes) + counted()
        assert torch.equal(load_audio(data)[0], load_audio(counted())[0])


def test_a_stream_joined_midway_is_heard_from_its_next_frame():
    data = piped()
    second = frame(data[:4]).n_bytes
    torn = load_audio(data[101:])[0]
    assert torch.equal(torn[5_000:], load_audio(data[second:])[0][5_000:])
    # In a container there are other bytes between some frames and the next.
    for n_frames in (10, 40):
        end = ends_of_frames(data)[n_frames]
        with pytest.raises(AudioError, match="cannot be read as audio"):
            load_audio(b"a container of ours" + data[:end] + JUNK + data[end:])


@pytest.mark.parametrize("n_lost", [1, 10, 50, 100, 501])
@pytest.mark.parametrize("make", [counted, piped])
def test_a_last_frame_that_was_cut_costs_no_other(make, n_lost):
    whole = load_audio(make())[0]
    cut = load_audio(make()[:-n_lost])[0]
    assert 0 <= len(whole) - len(cut) < 576 * (2 + n_lost // 26)
    assert torch.equal(cut, whole[: len(cut)])


def test_joined_recordings_are_heard_as_one():
    for parts in ([counted(), counted()], [piped(), counted()], [counted(), ID3V1, counted()]):
        n_samples = len(load_audio(b"".join(parts))[0])
        assert 2 * SECONDS * 22_050 <= n_samples < 2 * SECONDS * 22_050 + 4_000
    with pytest.raises(AudioError, match="more MPEG frames follow"):
        load_audio(piped() + piped(44_100))
    with pytest.raises(AudioError, match="more MPEG frames follow"):
        load_audio(counted() + ape(1_000) + counted(22_050, 2))


def test_two_frames_that_were_appended_are_heard():
    data = piped()
    ends = ends_of_frames(data)
    assert len(load_audio(counted() + data[ends[58] : ends[60]])[0]) > len(load_audio(data)[0])


def layer_2(rate: int, kbit_per_second: int, n_frames: int) -> bytes:
    av = pytest.importorskip("av")
    noise = np.random.default_rng(0).integers(-9_000, 9_000, (1, 1152 * n_frames))
    block = av.AudioFrame.from_ndarray(noise.astype(np.int16), format="s16", layout="mono")
    block.sample_rate, block.pts = rate, 0
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp2") as file:
        stream = file.add_stream("mp2", rate=rate)
        stream.layout, stream.bit_rate = "mono", 1_000 * kbit_per_second
        file.mux(stream.encode(block))
        file.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("version", [3, 2, 0], ids=["MPEG 1", "MPEG 2", "MPEG 2.5"])
@pytest.mark.parametrize("layer", [1, 2, 3])
def test_frames_are_as_long_as_ffmpeg_and_libmpg123_find_them(version, layer):
    """Frames of silence, at every bit rate and sample rate."""
    av = pytest.importorskip("av")
    second = 0xE0 | version << 3 | (4 - layer) << 1 | 1
    for bit_rate, rate, padding in itertools.product(range(1, 15), range(3), range(2)):
        header = bytes([0xFF, second, bit_rate << 4 | rate << 2 | padding << 1, 0])
        found = frame(header)
        stream = 6 * (header + bytes(found.n_bytes - 4))
        with av.open(io.BytesIO(stream), format="mp3") as file:
            assert [packet.size for packet in file.demux() if packet.size] == 6 * [found.n_bytes]
        assert count_samples(AudioFile(stream)) == 6 * found.n_samples
        if not padding:
            heard, hz = load_audio(stream, mono=False)
            assert heard.shape == (2, 6 * found.n_samples)
            assert hz == (44_100, 48_000, 32_000)[rate] // {3: 1, 2: 2, 0: 4}[version]


@pytest.mark.parametrize(
    "header",
    ["fffb90", "fefb9064", "ff7b9064", "ffeb9064", "fff99064", "fffb0064", "fffbf064", "fffb9c64"],
    ids=["short", "no", "no", "version", "layer", "free", "bit rate", "rate"],
)
def test_what_is_reserved_or_states_no_length_is_no_frame(header):
    assert frame(bytes.fromhex("fffb9064")) is not None
    assert frame(bytes.fromhex(header)) is None


@pytest.mark.parametrize("n_bytes", [300, 1_440])
@pytest.mark.parametrize("after", [b"", ID3V1])
def test_frames_that_do_not_state_their_length_are_heard(n_bytes, after):
    """Of a "free format": all have one length, which libmpg123 finds out."""
    silence = b"\xff\xfb\x00\xc4" + bytes(n_bytes - 4)
    assert len(load_audio(50 * silence + after)[0]) == 50 * 1_152


def test_frames_are_counted_across_damage():
    """By which libmpg123 is found out where it passes over whole frames without an error."""
    data = piped()
    n_samples = len(load_audio(data)[0])
    assert count_samples(AudioFile(data)) == n_samples
    assert count_samples(AudioFile(data + JUNK + data + bytes(70_000) + data)) == 3 * n_samples
    for n_zeros in range(2**16 - 4, 2**16 + 2):  # where blocks of the search meet
        assert count_samples(AudioFile(bytes(n_zeros) + data)) == n_samples


def test_a_count_of_too_few_frames_is_refused_and_none_is_no_count():
    data = bytearray(counted())
    tag = max(data[:100].find(b"Xing"), data[:100].find(b"Info"))
    for count in (0, 40):
        data[tag + 8 : tag + 12] = count.to_bytes(4, "big")
        if count:
            with pytest.raises(AudioError, match="more MPEG frames follow"):
                load_audio(bytes(data))
        else:
            assert torch.equal(load_audio(bytes(data))[0], load_audio(piped())[0])


@pytest.mark.parametrize(("flags", "counts"), [(0, False), (2, False), (14, False), (15, True)])
def test_a_first_frame_counts_what_its_flags_say(flags, counts):
    data = bytearray(counted())
    tag = max(data[:100].find(b"Xing"), data[:100].find(b"Info"))
    assert data[tag + 7] == 15
    data[tag + 7] = flags
    assert torch.equal(load_audio(bytes(data))[0], load_audio(counted() if counts else piped())[0])


def test_a_count_of_frames_is_enough_without_one_of_bytes():
    data = counted()
    tag, end = max(data[:100].find(b"Xing"), data[:100].find(b"Info")), frame(data[:4]).n_bytes
    first = data[: tag + 7] + b"\x0d" + data[tag + 8 : tag + 12] + data[tag + 16 : end] + bytes(4)
    assert torch.equal(load_audio(first + data[end:])[0], load_audio(data)[0])


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
@pytest.mark.parametrize("bit_rate", [7, 10, 14])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_first_frame_by_fraunhofer_is_not_heard_and_the_others_are(rate, bit_rate, n_channels):
    """Its bit rate is often not theirs, and libmpg123 does not know it (VBRI)."""
    data = piped(rate, n_channels)
    header = data[:2] + bytes([bit_rate << 4 | data[2] & 12, data[3]])
    n_bytes = frame(header).n_bytes
    if n_bytes < 36 + 26:
        pytest.skip("it has no room")
    n_frames = count_samples(AudioFile(data)) // frame(header).n_samples
    counts = struct.pack(">HHHIIHHHH", 1, 0, 75, n_bytes + len(data), n_frames, 0, 1, 2, 1)
    first = (header + bytes(32) + b"VBRI" + counts).ljust(n_bytes, b"\0")
    assert torch.equal(load_audio(first + data, mono=False)[0], load_audio(data, mono=False)[0])


def test_a_recording_that_was_cut_leaves_no_word_of_the_decoder_behind(capfd):
    """libmpg123 writes to standard error that the size is not the one in the first frame."""
    data = counted()
    whole, half = load_audio(data)[0], load_audio(data[: len(data) // 2])[0]
    assert torch.equal(half, whole[: len(half)])
    assert capfd.readouterr() == ("", "")


def test_damage_that_ends_the_decoding_is_an_error_with_its_place(capfd):
    data = piped(44_100)
    half = len(data) // 2
    torn = data[:half] + bytes(5_000) + data[half:]
    with pytest.raises(AudioError, match=r"damaged after about|breaks off after"):
        load_audio(torn)
    blocks = audio_blocks(torn, block_samples=2_000)
    assert len(next(blocks)) == 2_000
    capfd.readouterr()


def test_what_looks_like_frames_for_megabytes_costs_seconds_at_most(capfd):
    began = time.process_time()
    for tail in (b"\xff\xfb\x90\x64" * 500_000, b"\xff" * 2_000_000, b"\xff\xf3\x14\x64" * 9_000):
        for data in (tail, piped() + tail):
            with contextlib.suppress(AudioError):
                load_audio(data)
    assert time.process_time() - began < 20
    capfd.readouterr()


def mpeg_wav(frames: bytes, n_bytes: int | None = None, extensible: bool = False) -> bytes:
    fmt = struct.pack("<HHIIHH", 0x55, 1, 22_050, 4_000, 1, 0)
    if extensible:
        guid = struct.pack("<H", 0x55) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        fmt = b"\xfe\xff" + fmt[2:] + struct.pack("<HHI", 22, 0, 4) + guid
    else:
        fmt += struct.pack("<HHIHHH", 12, 1, 2, 417, 1, 0)
    length = len(frames) if n_bytes is None else n_bytes
    fact = b"fact" + struct.pack("<II", 4, 6 * 22_050)
    chunks = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + fact + b"data"
    chunks += struct.pack("<I", length) + frames
    return b"RIFF" + struct.pack("<I", min(len(chunks), 2**32 - 1)) + chunks


@pytest.mark.parametrize("extensible", [True, False])
@pytest.mark.parametrize("make", [counted, piped])
def test_mp3_in_wav_is_what_its_frames_are(make, extensible):
    expected = load_audio(make())[0]
    frames = make()
    for data in (
        mpeg_wav(frames, extensible=extensible),
        mpeg_wav(frames) + bytes(len(frames) % 2) + b"LIST\x14\0\0\0adtlabcd01234567abcd",
        mpeg_wav(frames, 2**32 - 1),
    ):
        assert torch.equal(load_audio(data)[0], expected)
        blocks = list(audio_blocks(data, block_samples=999))
        assert torch.equal(torch.cat(blocks), expected)


def test_mp2_in_wav_is_what_its_frames_are():
    frames = layer_2(22_050, 64, n_frames=20)

    def mp2_wav(n_bytes: int) -> bytes:
        wav = mpeg_wav(frames, n_bytes)
        at = wav.index(b"fmt ") + 8
        assert wav[at : at + 2] == b"\x55\0"
        return wav[:at] + b"\x50\0" + wav[at + 2 :]

    expected = load_audio(frames)[0]
    assert len(expected) == 20 * 1_152
    after = bytes(len(frames) % 2) + b"LIST\x14\0\0\0adtlabcd01234567abcd"
    assert torch.equal(load_audio(mp2_wav(len(frames)) + after)[0], expected)
    with pytest.raises(AudioError, match="truncated: only 50%"):
        load_audio(mp2_wav(2 * len(frames)))


@pytest.mark.parametrize("make", [counted, piped])
def test_mp3_in_rf64_ends_where_its_long_length_says(make):
    frames = make()
    expected = load_audio(frames)[0]

    def rf64(n_bytes: int) -> bytes:
        wav = mpeg_wav(frames)
        at = wav.index(b"data") + 4
        ds64 = b"ds64" + struct.pack("<I3QI", 28, len(wav) + 28, n_bytes, 0, 0)
        open_32 = b"\xff" * 4
        return b"RF64" + open_32 + b"WAVE" + ds64 + wav[12:at] + open_32 + wav[at + 4 :]

    marker = bytes(len(frames) % 2) + b"LIST\x14\0\0\0adtlabcd01234567abcd"
    for n_bytes in (len(frames), 0, 2**64 - 1):
        for after in (b"", marker):
            assert torch.equal(load_audio(rf64(n_bytes) + after)[0], expected)
    one_frame = frame(frames[:4]).n_bytes
    assert len(load_audio(rf64(len(frames) - one_frame))[0]) <= len(expected)
    with pytest.raises(AudioError, match="truncated: only 50%"):
        load_audio(rf64(2 * len(frames)))


@pytest.mark.parametrize("n_frames", [2, 3, 10, 40])
def test_short_mp3_in_wav_is_complete(n_frames):
    data, end = piped(), 0
    for _ in range(n_frames):
        end += frame(data[end : end + 4]).n_bytes
    assert len(load_audio(mpeg_wav(data[:end]))[0]) == n_frames * 576


def test_mp3_in_wav_that_was_cut_is_refused():
    data = mpeg_wav(piped())
    with pytest.raises(AudioError, match=r"truncated: only 5[0-9]%"):
        load_audio(data[: len(data) // 2 + 100])


@pytest.mark.parametrize("name", [".AppleDouble/", "._"])
@pytest.mark.parametrize("make", [counted, piped])
def test_what_lies_in_the_working_folder_is_nothing_to_a_recording(
    make, name, tmp_path, monkeypatch
):
    expected, _ = load_audio(make())
    fork = tmp_path / name
    if name.endswith("/"):
        fork.mkdir()
    else:
        fork.write_bytes(bytes(range(256)) * 4)
    monkeypatch.chdir(tmp_path)
    assert torch.equal(load_audio(make())[0], expected)
    with pytest.raises(AudioError, match=r"Format not recognised|header is damaged"):
        load_audio(b"\x7fELF" + bytes(range(1, 256)))
