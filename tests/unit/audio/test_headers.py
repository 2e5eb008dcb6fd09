"""Lengths that headers leave open, and what stands before and after the sound."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from soundsep import AudioError, load_audio
from soundsep.audio import audio_blocks, flac

RATE = 16_000
JUNK = np.random.default_rng(1).bytes(20_001)
ID3V1 = b"TAG" + b"A song".ljust(125, b"\0")
ID3V2 = b"ID3\4\0\0" + bytes([0, 0, 4, 98]) + b"x" * 610
MARKER = b"LIST" + (20).to_bytes(4, "little") + b"adtlabcd01234567abcd"


def encoded(
    container: str,
    subtype: str,
    n_channels: int = 1,
    n_frames: int = RATE,
    endian: str = "FILE",
) -> bytes:
    rate = 8_000 if container == "WVE" else RATE
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (n_frames, n_channels))
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype, endian=endian)
    return buffer.getvalue()


def with_field(data: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    at = data.index(name) + offset
    return data[:at] + value + data[at + len(value) :]


MINUS_ONE = b"\xff" * 8
OPEN_LENGTHS = {
    "wav of ffmpeg": ("WAV", [(b"RIFF", 4, MINUS_ONE[:4]), (b"data", 4, MINUS_ONE[:4])]),
    "wav of sox": ("WAV", [(b"RIFF", 4, b"\x24\xf0\xff\x7f"), (b"data", 4, b"\0\xf0\xff\x7f")]),
    "wav of a crash": ("WAV", [(b"RIFF", 4, bytes(4)), (b"data", 4, bytes(4))]),
    "wav of a crash, 36": ("WAV", [(b"RIFF", 4, b"\x24\0\0\0"), (b"data", 4, bytes(4))]),
    "rf64 of ffmpeg": ("RF64", [(b"ds64", 8, bytes(24))]),
    "rf64, -1": ("RF64", [(b"ds64", 8, MINUS_ONE * 3)]),
    "rf64 of a crash": ("RF64", [(b"ds64", 8, bytes(24)), (b"data", 4, bytes(4))]),
    "bw64 of a crash": (
        "RF64",
        [(b"RF64", 0, b"BW64"), (b"ds64", 8, bytes(24)), (b"data", 4, bytes(4))],
    ),
    "w64 of ffmpeg": (
        "W64",
        [(b"riff", 16, MINUS_ONE), (b"data\xf3", 16, MINUS_ONE[:7] + b"\x7f")],
    ),
    "w64, 0": ("W64", [(b"data\xf3", 16, bytes(8))]),
    "w64, -1": ("W64", [(b"data\xf3", 16, MINUS_ONE)]),
    "aiff of sox": (
        "AIFF",
        [
            (b"FORM", 4, b"\x7f\0\0\x2e"),
            (b"COMM", 10, b"\x3f\x80\0\0"),
            (b"SSND", 4, b"\x7f\0\0\x08"),
        ],
    ),
    "aiff of ffmpeg": (
        "AIFF",
        [(b"FORM", 4, bytes(4)), (b"COMM", 10, bytes(4)), (b"SSND", 4, bytes(4))],
    ),
    "caf, -1": ("CAF", [(b"data", 4, MINUS_ONE)]),
    "au, -1": ("AU", [(b".snd", 8, MINUS_ONE[:4])]),
    "8svx, 0": ("SVX", [(b"BODY", 4, bytes(4))]),
    "flac of a pipe": ("FLAC", [(b"fLaC", 22, bytes(4))]),
}


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("kind", OPEN_LENGTHS)
def test_a_length_that_is_left_open_is_that_of_the_file(kind, n_channels):
    container, fields = OPEN_LENGTHS[kind]
    if container == "SVX" and n_channels == 2:
        pytest.skip("mono only")
    data = encoded(container, "PCM_16", n_channels)
    expected = load_audio(data, mono=False)[0]
    for name, offset, value in fields:
        data = with_field(data, name, offset, value)
    heard = load_audio(data, mono=False)[0]
    assert heard.shape == (n_channels, RATE)
    assert torch.equal(heard, expected)


def test_chunks_before_the_sound_are_padded():
    """To an even length in WAV, to eight bytes in W64; the sound behind them is found."""
    expected = load_audio(encoded("WAV", "PCM_16"))[0]
    junk = b"junk" + (5).to_bytes(4, "little") + b"12345\0"
    wav = encoded("WAV", "PCM_16")
    at = wav.index(b"data")
    wav = wav[:at] + junk + wav[at:]
    for name in (b"RIFF", b"data"):
        wav = with_field(wav, name, 4, bytes(4))
    assert torch.equal(load_audio(wav)[0], expected)
    w64 = encoded("W64", "PCM_16")
    at = w64.index(b"data\xf3")
    junk = b"junk" + w64[at + 4 : at + 16] + (29).to_bytes(8, "little") + b"12345\0\0\0"
    w64 = w64[:at] + junk + w64[at:]
    for after in (b"", JUNK):
        assert torch.equal(load_audio(w64 + after)[0], expected)


@pytest.mark.parametrize("container", ["RF64", "CAF", "W64"])
def test_a_hundred_chunks_before_a_sound_of_open_length_are_passed_over(container):
    data = encoded(container, "PCM_16")
    if container == "RF64":
        at, junk = data.index(b"fmt "), b"junk" + (4).to_bytes(4, "little") + b"1234"
        data = with_field(data, b"ds64", 8, bytes(24))
    elif container == "CAF":
        at, junk = data.index(b"data"), b"free" + (4).to_bytes(8, "big") + b"1234"
        data = with_field(data, b"data", 4, MINUS_ONE)
    else:
        at = data.index(b"data\xf3")
        junk = b"junk" + data[at + 4 : at + 16] + (32).to_bytes(8, "little") + bytes(8)
        data = with_field(data, b"data\xf3", 16, bytes(8))
    expected = load_audio(encoded(container, "PCM_16"))[0]
    assert torch.equal(load_audio(data[:at] + 100 * junk + data[at:])[0], expected)


# Refused for what they are, however sound.
REFUSED = {
    "IRCAM": "IRCAM.* does not state how long",
    "PAF": "PAF.* does not state how long",
    "PVF": "PVF.* does not state how long",
    "XI": "XI.* does not state how long",
    "SDS": "MIDI sample dump",
    "ALAC_32": "Apple Lossless of 32 bits",
}
NOT_TO_BE_TOLD = {"RAW", "SD2"}  # without a header; with one in another file
NOT_WRITTEN = {"DWVW_12", "MPEG_LAYER_I", "MPEG_LAYER_II"}
LOSSY = {"VORBIS", "OPUS", "MPEG_LAYER_III", "GSM610", "IMA_ADPCM", "MS_ADPCM"}
LOSSY |= {"G721_32", "G723_24", "G723_40", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32"}
WRITTEN_WRONG = {"ALAC_20", "ALAC_24"}
BLOCKS = {"IMA_ADPCM": 1_016, "MS_ADPCM": 1_016, "G721_32": 120, "G723_24": 120, "G723_40": 120}
STEPS = {"PCM_S8": 2**-7, "PCM_U8": 2**-7, "DPCM_8": 2**-7, "ULAW": 2**-5, "ALAW": 2**-5}


def writes(container: str, subtype: str, n_channels: int) -> bool:
    if subtype in NOT_WRITTEN or (container, subtype) == ("WAV", "MPEG_LAYER_III"):
        return False
    try:
        encoded(container, subtype, n_channels, n_frames=0)
    except soundfile.SoundFileError:
        return False
    return True


FORMATS = [
    (container, subtype, n_channels)
    for container in soundfile.available_formats()
    for subtype in soundfile.available_subtypes(container)
    for n_channels in (1, 2)
    if container not in NOT_TO_BE_TOLD and writes(container, subtype, n_channels)
]
AFTER = {
    "zeros": bytes(20_000),
    "noise": JUNK[:-1],
    "noise of an odd length": JUNK,
    "a chunk": MARKER,
    "two zeros": bytes(2),
}


def test_every_format_of_libsndfile_is_among_those_tried():
    assert {container for container, _, _ in FORMATS} | NOT_TO_BE_TOLD == set(
        soundfile.available_formats()
    )


@pytest.mark.parametrize(("container", "subtype", "n_channels"), FORMATS)
def test_what_is_heard_is_what_was_written_whatever_follows_it(container, subtype, n_channels):
    data = encoded(container, subtype, n_channels)
    if reason := REFUSED.get(container) or REFUSED.get(subtype):
        for after in (b"", *AFTER.values()):
            with pytest.raises(AudioError, match=reason):
                load_audio(data + after)
        return
    heard = load_audio(data, mono=False)[0]
    assert heard.shape[0] == n_channels
    assert 0 <= heard.shape[1] - RATE < BLOCKS.get(subtype, 1)
    # Of noise in two channels libsndfile writes wrong ALAC.
    if subtype not in LOSSY and (n_channels == 1 or subtype not in WRITTEN_WRONG):
        written = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, n_channels)).T
        assert np.abs(heard.numpy() - written).max() <= STEPS.get(subtype, 2**-14)
    for what, after in AFTER.items():
        if container == "HTK":  # its header states a length, and libsndfile no other
            with pytest.raises(AudioError, match=r"not recognised|header is damaged"):
                load_audio(data + after)
        else:
            assert torch.equal(load_audio(data + after, mono=False)[0], heard), what


@pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("AU", "G721_32"),
        ("AU", "PCM_16"),
        ("MAT4", "PCM_16"),
        ("MAT5", "DOUBLE"),
        ("WAV", "PCM_16"),
    ],
)
def test_either_order_of_bytes_is_heard_to_its_end_and_half_a_file_refused(
    container, subtype, endian
):
    expected = load_audio(encoded(container, subtype))[0]
    data = encoded(container, subtype, endian=endian)
    for after in (b"", *AFTER.values()):
        assert torch.equal(load_audio(data + after)[0], expected)
    with pytest.raises(AudioError):
        load_audio(data[: len(data) // 2])


@pytest.mark.parametrize(("container", "subtype", "n_channels"), FORMATS)
def test_half_a_file_is_refused(container, subtype, n_channels):
    data = encoded(container, subtype, n_channels)
    if container == "MP3":
        assert load_audio(data[: len(data) // 2])[0].shape[-1] < RATE / 2
    else:
        with pytest.raises(AudioError):
            load_audio(data[: len(data) // 2])


@pytest.mark.parametrize("container", sorted({container for container, _, _ in FORMATS}))
def test_part_of_a_header_is_refused(container):
    data = encoded(container, next(s for c, s, _ in FORMATS if c == container))
    for n_bytes in (2, 4, 12, 20, 24, 29, 41, 60, 127):
        with pytest.raises(AudioError):
            load_audio(data[:n_bytes])


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF", "W64", "OGG"])
def test_a_tag_before_the_file_costs_nothing(container):
    data = encoded(container, "VORBIS" if container == "OGG" else "PCM_16")
    assert torch.equal(load_audio(ID3V2 + data)[0], load_audio(data)[0])


class LongWav(io.RawIOBase):
    """Silence of any length, made as it is read, whose header tells another length."""

    def __init__(self, n_samples: int, n_bytes_told: int) -> None:
        empty = encoded("WAV", "PCM_16", n_frames=0)
        self.head = empty[:-4] + n_bytes_told.to_bytes(4, "little")
        self.length, self.position = len(self.head) + 2 * n_samples, 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + (0, self.position, self.length)[whence]
        return self.position

    def readinto(self, buffer) -> int:
        n = min(len(buffer), self.length - self.position)
        start = self.head[self.position : self.position + n]
        buffer[:n] = start + bytes(n - len(start))
        self.position += n
        return n


@pytest.mark.parametrize("told", [2**32 - 1, 2**32 - 37, 2**32 - 4096, 2**20, 0, 0x7FFFF000])
def test_a_wav_beyond_4_gib_is_as_long_as_its_file(told):
    n_samples = 2**31 + 2**19
    with audio_blocks(LongWav(n_samples, told)) as blocks:
        assert blocks.duration_seconds == n_samples / RATE
        assert len(next(blocks)) == 2**17


@pytest.mark.parametrize("n_padding", [0, 1])
@pytest.mark.parametrize("told", [0, 2**20])
def test_a_wav_of_megabytes_is_as_long_as_its_header_tells(told, n_padding):
    """Only an impossible length is mended: other chunks may follow the sound."""
    data = LongWav(2**20, told)
    length = data.length - 8 - n_padding  # which some programs do not count
    data.head = data.head[:4] + length.to_bytes(4, "little") + data.head[8:]
    if told:
        assert len(load_audio(data)[0]) == told // 2
    else:
        with pytest.raises(AudioError, match="no samples"):
            load_audio(data)


def rf64_that_tells(n_bytes: int, container: str = "RF64") -> bytes:
    """One second, of ``2 * RATE`` bytes; the length of the whole file stays right."""
    if container == "BW64":  # another name for the same
        return b"BW64" + rf64_that_tells(n_bytes)[4:]
    if container == "WAV":
        return with_field(encoded("WAV", "PCM_16"), b"data", 4, n_bytes.to_bytes(4, "little"))
    return with_field(encoded("RF64", "PCM_16"), b"ds64", 16, n_bytes.to_bytes(8, "little"))


@pytest.mark.parametrize("container", ["WAV", "RF64", "BW64"])
def test_the_length_of_the_sound_counts_and_not_only_that_of_the_file(container):
    whole = load_audio(rf64_that_tells(2 * RATE, container))[0]
    assert len(whole) == RATE
    for after in (b"", JUNK):
        part = load_audio(rf64_that_tells(RATE, container) + after)[0]
        assert torch.equal(part, whole[: RATE // 2])
    with pytest.raises(AudioError, match="truncated: only 80%"):
        load_audio(rf64_that_tells(RATE * 5 // 2, container))


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
@pytest.mark.parametrize("told_64", [0, 2 * RATE])
def test_the_shorter_length_of_an_rf64_counts_if_it_is_there(name, told_64):
    """The long one is for what does not fit (EBU Tech 3306), and may be left at 0."""
    whole = load_audio(encoded("WAV", "PCM_16"))[0]
    data = with_field(name + rf64_that_tells(told_64)[4:], b"data", 4, struct.pack("<I", 2 * RATE))
    for after in (b"", MARKER):
        assert torch.equal(load_audio(data + after)[0], whole)
    if not told_64:
        with pytest.raises(AudioError, match="truncated: only 50%"):
            load_audio(data[:-RATE])


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
@pytest.mark.parametrize("chunk", [b"axml", b"bext"])
def test_odd_chunks_before_the_sound_of_an_rf64_are_padded(name, chunk):
    data = rf64_that_tells(2 * RATE)
    at = data.index(b"data")
    odd = chunk + struct.pack("<I", 603) + bytes(604)
    data = name + data[4:at] + odd + data[at:]
    assert torch.equal(load_audio(data)[0], load_audio(encoded("WAV", "PCM_16"))[0])


def test_a_negative_length_of_a_caf_is_refused_but_for_the_one_that_means_an_open_end():
    data = encoded("CAF", "PCM_16")
    for n_bytes in (-2, -(2**63)):
        with pytest.raises(AudioError, match="malformed"):
            load_audio(with_field(data, b"data", 4, n_bytes.to_bytes(8, "big", signed=True)))


@pytest.mark.parametrize("n_bytes", [0, 10])
def test_a_chunk_of_another_format_before_the_sound_of_an_aiff_is_passed_over(n_bytes):
    data = encoded("AIFF", "PCM_16")
    at = data.index(b"SSND")
    other = b"BODY" + n_bytes.to_bytes(4, "big") + bytes(n_bytes)
    assert torch.equal(load_audio(data[:at] + other + data[at:])[0], load_audio(data)[0])


def test_a_header_of_no_bytes_does_not_repeat_itself_without_end():
    data = encoded("AU", "G721_32")
    started_early = with_field(data, b".snd", 4, bytes(4) + MINUS_ONE[:4])
    assert len(load_audio(started_early)[0]) >= RATE


def test_a_nist_whose_header_does_not_tell_its_own_length_is_read():
    data = encoded("NIST", "PCM_16")
    for told in (b"   abcd", b"       "):
        damaged = with_field(data, b"NIST_1A", 8, told)
        assert torch.equal(load_audio(damaged)[0], load_audio(data)[0])


def test_a_voc_of_several_blocks_is_refused():
    """libsndfile hears the heads of the later ones as sound."""
    data = encoded("VOC", "PCM_16")[:-1]
    with pytest.raises(AudioError, match="several blocks"):
        load_audio(data + b"\2" + (1_000).to_bytes(3, "little") + bytes(1_000) + b"\0")


@pytest.mark.parametrize("after", [b"", bytes(20_000), JUNK])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_voc_of_sox_is_heard_to_its_last_sample(n_channels, after):
    """sox gives the length of the block 8 bytes too small, and an older version."""
    data = encoded("VOC", "PCM_16", n_channels)
    length = int.from_bytes(data[27:30], "little") - 8
    by_sox = data[:22] + b"\x0a\1\x29\x11\x09" + length.to_bytes(3, "little") + data[30:]
    heard = load_audio(by_sox + after, mono=False)[0]
    assert torch.equal(heard, load_audio(data, mono=False)[0])


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_the_byte_that_ends_a_voc_is_no_sample(subtype):
    """libsndfile counts it in, where the sound has one channel."""
    data = encoded("VOC", subtype)
    assert int.from_bytes(data[27:30], "little") == RATE + 13
    assert load_audio(data)[0].shape == (RATE,)
    right = data[:27] + (RATE + 12).to_bytes(3, "little") + data[30:]
    assert torch.equal(load_audio(right)[0], load_audio(data)[0])
    ends_low = right[:-2] + b"\0\0"  # a sample of the value that ends a file
    assert load_audio(ends_low)[0].shape == (RATE,)


@pytest.mark.parametrize(("subtype", "n_channels"), [("PCM_16", 1), ("PCM_16", 2), ("ULAW", 2)])
def test_a_last_sample_of_a_voc_that_ends_in_a_zero_is_a_sample(subtype, n_channels):
    data = encoded("VOC", subtype, n_channels)
    data = data[:-2] + b"\0\0"  # the second one ends the file
    for after in (b"", *AFTER.values()):
        heard = load_audio(data + after, mono=False)[0]
        assert heard.shape == (n_channels, RATE)


def test_the_short_names_of_a_mat5_lie_in_the_heads_of_their_parts():
    """As of ``fs`` and ``y``, which MATLAB wrote."""
    data = encoded("MAT5", "PCM_16")
    expected = load_audio(data)[0]
    for name, short in ((b"samplerate", b"fs"), (b"wavedata", b"y")):
        at = data.index(name) - 8
        n_long = 8 + -(-len(name) // 8) * 8
        part = struct.pack("<HH", 1, len(short)) + short.ljust(4, b"\0")
        size_at = at - 36  # of the matrix, ahead of its flags and dimensions
        size = int.from_bytes(data[size_at : size_at + 4], "little") - n_long + len(part)
        head = data[:size_at] + size.to_bytes(4, "little") + data[size_at + 4 : at]
        data = head + part + data[at + n_long :]
    for after in (b"", *AFTER.values()):
        assert torch.equal(load_audio(data + after)[0], expected)


@pytest.mark.parametrize("lacking", [0, 8])
def test_a_voc_of_more_than_16_mib_is_heard_whole(lacking):
    """Its length has no room in three bytes."""
    n_frames = 2**23 + 5_000
    data = encoded("VOC", "PCM_16", n_frames=n_frames)
    assert int.from_bytes(data[27:30], "little") == 10_012
    if lacking:
        data = data[:22] + b"\x0a\1" + data[24:27] + (10_004).to_bytes(3, "little") + data[30:]
    with audio_blocks(data) as blocks:
        assert blocks.duration_seconds == n_frames / RATE
    with pytest.raises(AudioError, match="no block follows"):
        load_audio(data + JUNK)


def test_flac_joined_is_refused():
    data = encoded("FLAC", "PCM_16")
    unknown = with_field(data, b"fLaC", 22, bytes(4))
    with pytest.raises(AudioError, match="several FLAC files"):
        load_audio(data + data)
    with pytest.raises(AudioError, match="lost sync"):
        load_audio(unknown + data)


def test_flac_whose_header_tells_too_few_samples_is_refused():
    data = with_field(encoded("FLAC", "PCM_16"), b"fLaC", 22, (9_000).to_bytes(4, "big"))
    with pytest.raises(AudioError, match="continues after the 9000 samples"):
        load_audio(data)


@pytest.mark.parametrize("n_blocks", [1, 5])
def test_flac_of_unknown_length_in_blocks(n_blocks):
    data = encoded("FLAC", "PCM_16", n_frames=n_blocks * RATE)
    unknown = with_field(data, b"fLaC", 22, bytes(4)) + ID3V1
    with audio_blocks(unknown, block_samples=1_000) as blocks:
        assert blocks.duration_seconds is None
        assert torch.equal(torch.cat(list(blocks)), load_audio(data)[0])
    with pytest.raises(AudioError):
        load_audio(unknown[: len(data) // 2])


def test_flac_in_ogg_is_named():
    packet = b"\x7fFLAC\1\0\0\1" + encoded("FLAC", "PCM_16")[:42]
    page = b"OggS\0\2" + bytes(20) + b"\1" + bytes([len(packet)]) + packet
    with pytest.raises(AudioError, match="an Ogg file of FLAC"):
        load_audio(page)


@pytest.mark.parametrize("n_bytes", [2**62, 2**64 - 2**32 + 2_754])
def test_a_length_that_makes_libsndfile_decode_without_end_is_refused(n_bytes):
    data = encoded("W64", "GSM610")
    data = with_field(data, b"data\xf3", 16, n_bytes.to_bytes(8, "little"))
    with pytest.raises(AudioError, match=r"damaged|truncated"):
        load_audio(data)


@pytest.mark.parametrize("container", ["WAV", "W64", "SVX", "AIFF", "AU", "NIST", "AVR"])
def test_a_file_without_samples_is_said_to_hold_none(container):
    with pytest.raises(AudioError, match="no samples"):
        load_audio(encoded(container, "PCM_16", n_frames=0))


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "ULAW", "ALAW", "PCM_16"])
def test_a_w64_that_tells_the_kind_of_its_samples_later_is_read(subtype):
    data = encoded("W64", subtype, 2)
    at = data.index(b"fmt \xf3") + 24
    size, tag = int.from_bytes(data[at - 8 : at], "little"), data[at : at + 2]
    rest = data[at + 2 : at + 16] + bytes.fromhex("1600100003000000")
    guid = tag + bytes.fromhex("000000001000800000aa00389b71")
    fmt = b"\xfe\xff" + rest + guid
    after = at - 24 + size
    told = data[: at - 8] + (24 + len(fmt)).to_bytes(8, "little") + fmt + data[after:]
    assert torch.equal(load_audio(told, mono=False)[0], load_audio(data, mono=False)[0])


@pytest.mark.parametrize(("container", "n_header"), [("W64", 104), ("MAT5", 264)])
@pytest.mark.parametrize(("n_before", "n_after"), [(1, 0), (1, 1), (0, 1), (2, 1)])
def test_headers_that_libsndfile_writes_again_to_a_pipe_are_not_heard(
    container, n_header, n_before, n_after
):
    data = encoded(container, "PCM_16")
    header = data[:n_header]
    if container == "W64":
        header = header[:16] + bytes(8) + header[24:96] + b"\x17" + bytes(7)
    elif container == "MAT5":
        header = header[:-4] + bytes(4)
    piped = header * (1 + n_before) + data[n_header:] + header * n_after
    assert torch.equal(load_audio(piped)[0], load_audio(data)[0])


@pytest.mark.parametrize("n_dropped", [1, 3])
def test_the_last_segment_of_a_flac_is_whole_though_it_counts_all_samples(n_dropped):
    data = encoded("FLAC", "PCM_16", n_frames=5 * 4_096)
    frames = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xf8\xc5"]
    assert len(frames) == 5
    segment = data[: frames[0]] + data[frames[n_dropped] :]
    whole, _ = load_audio(data)
    assert torch.equal(load_audio(segment)[0], whole[n_dropped * 4_096 :])
    with pytest.raises(AudioError, match=r"truncated|damaged"):
        load_audio(segment[: -len(segment) // 2])


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("05", 5),
        ("7f", 127),
        ("c280", 128),
        ("e0a080", 2_048),
        ("f0908080", 2**16),
        ("f888808080", 2**21),
        ("fc8480808080", 2**26),
        ("fe828080808080", 2**31),
        ("ff", 0),
        ("c2", 0),
        ("80", 0),
    ],
)
def test_the_numbers_of_flac_frames(code, number):
    assert flac._number(bytes.fromhex(code)) == number
