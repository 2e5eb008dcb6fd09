from __future__ import annotations

import gzip
import http.server
import io
import struct
import sys
import threading
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from soundsep import AudioError, load_audio
from soundsep.audio import audio_blocks
from soundsep.audio.amr import skip_zeros_at_end
from soundsep.audio.contents import Contents, contents_of, convert_command
from soundsep.audio.ffmpeg import FfmpegReader
from soundsep.audio.file import AudioFile
from soundsep.audio.suffixes import AUDIO_SUFFIXES

av = pytest.importorskip("av")
from pyav_encoder import LOSSLESS, WRITABLE, encode  # noqa: E402

FILLED_UP = ("m4a", "mp4")  # the last packet, whose rest FFmpeg keeps
# Samples by which FFmpeg's own answer may be longer than what was written: a frame of the codec.
MAX_LONGER = 2048


def tones(kind: str, n_channels: int = 2, seconds: float = 1.0) -> tuple[np.ndarray, int]:
    rate = WRITABLE[kind][2] or 16_000
    n_channels = 1 if "amr" in WRITABLE[kind][1] else n_channels
    time = np.arange(int(rate * seconds)) / rate
    tone = np.stack([0.5 * np.sin(2 * np.pi * hz * time) for hz in (440, 660)][:n_channels])
    return (tone * np.minimum(1, time / 0.1)).astype(np.float32), rate


@pytest.fixture(params=WRITABLE)
def written(request, tmp_path):
    """Kind, path and the samples that were written, of every format that FFmpeg reads."""
    samples, rate = tones(request.param)
    path = tmp_path / f"clip.{request.param}"
    path.write_bytes(encode(request.param, samples, rate))
    return request.param, path, samples, rate


def by_ffmpeg(data: bytes) -> np.ndarray:
    """What FFmpeg by itself makes of it, resampled to float by itself, (time, channels)."""
    with av.open(io.BytesIO(data)) as file:
        to_float = av.AudioResampler(format="flt")
        frames = [f for frame in file.decode(audio=0) for f in to_float.resample(frame)]
        n_channels = frames[0].layout.nb_channels
        return np.concatenate([f.to_ndarray().reshape(-1, n_channels) for f in frames])


def test_every_format_gives_the_sound_that_was_written(written):
    kind, path, samples, rate = written
    waveform, found = load_audio(path, mono=False)
    assert found == rate
    assert waveform.shape[0] == len(samples)
    assert waveform.dtype == torch.float32
    n_more = waveform.shape[1] - samples.shape[1]
    if kind in LOSSLESS:
        assert n_more == 0
        assert np.abs(waveform.numpy() - samples).max() <= 2.0**-15
    else:
        assert -MAX_LONGER <= n_more <= MAX_LONGER
        spectrum = np.abs(np.fft.rfft(waveform.numpy()[0], n=rate))
        assert spectrum.argmax() == 440
        level = np.sqrt((waveform.numpy()[0, rate // 4 : rate // 2] ** 2).mean())
        assert level == pytest.approx(0.5 / np.sqrt(2), rel=0.15)  # AMR is meant for speech


def test_every_sample_is_the_one_that_ffmpeg_gives(written):
    kind, path, samples, _ = written
    waveform, _ = load_audio(path, mono=False)
    expected = torch.from_numpy(by_ffmpeg(path.read_bytes()).T)
    if kind in FILLED_UP:
        assert samples.shape[1] < expected.shape[1] < samples.shape[1] + MAX_LONGER
        expected = expected[:, : samples.shape[1]]
    assert torch.equal(waveform, expected)


@pytest.mark.parametrize("seconds", [0.02, 0.064, 0.0641875, 5.0])
def test_a_clip_of_a_phone_is_as_long_as_it_was(seconds):
    samples, rate = tones("m4a", seconds=seconds)
    waveform, _ = load_audio(encode("m4a", samples, rate))
    n_more = waveform.shape[0] - samples.shape[1]
    # FFmpeg writes a header that counts in milliseconds.
    assert abs(n_more) <= rate // 1000
    assert n_more == 0 or samples.shape[1] % (rate // 1000)


def test_a_header_that_does_not_know_its_length_cuts_nothing_off():
    samples, rate = tones("m4a", seconds=5.0)
    waveform, _ = load_audio(encode("m4a", samples, rate, movflags="empty_moov"))
    assert 0 <= waveform.shape[0] - samples.shape[1] < MAX_LONGER


def test_a_header_that_states_far_less_than_there_is_cuts_nothing_off():
    without_edits = encode("m4a", *tones("m4a", seconds=3.0)).replace(b"edts", b"free")
    waveform, rate = load_audio(with_number(without_edits, b"mdhd", 20, 16_000))
    assert 0 <= waveform.shape[0] - 3 * rate < MAX_LONGER


@pytest.mark.parametrize(
    ("kind", "is_lossy", "sample_type"),
    [("m4a", True, "PCM_16"), ("alac.m4a", False, "PCM_24"), ("24.mov", False, "PCM_24")],
)
def test_what_keeps_the_samples_is_told(kind, is_lossy, sample_type):
    file = AudioFile(encode(kind, *tones(kind)))
    contents = contents_of(file.peek(0, 4096))
    reader = FfmpegReader(file, contents)
    assert (reader.is_lossy, reader.sample_type) == (is_lossy, sample_type)
    reader.close()


def test_a_file_without_samples_is_told_as_such():
    with pytest.raises(AudioError, match="it holds no samples"):
        load_audio(b"#!AMR\n")


@pytest.mark.parametrize("block_samples", [1, 1000, 2**17])
def test_blocks_joined_are_the_whole(written, block_samples):
    kind, path, _, _ = written
    if block_samples == 1 and kind not in ("m4a", "webm"):
        pytest.skip("slow, and the same for all")
    whole, rate = load_audio(path, mono=False)
    with audio_blocks(path, mono=False, block_samples=block_samples) as blocks:
        assert blocks.sample_rate == rate
        joined = torch.cat(list(blocks), dim=1)
    assert torch.equal(joined, whole)


def test_bytes_and_file_objects_are_read_as_paths_are(written):
    _, path, _, _ = written
    whole, _ = load_audio(path)
    assert torch.equal(load_audio(path.read_bytes())[0], whole)
    with path.open("rb") as file:
        assert torch.equal(load_audio(file)[0], whole)
        assert not file.closed


def test_the_ending_of_the_name_does_not_matter(tmp_path):
    data = encode("m4a", *tones("m4a"))
    for name in ("clip.wav", "clip", "clip.mp3"):
        (tmp_path / name).write_bytes(data)
        assert torch.equal(load_audio(tmp_path / name)[0], load_audio(data)[0])


def test_the_kinds_have_suffixes_that_are_looked_for():
    for kind in WRITABLE:
        suffix = "." + kind.split(".")[-1]
        assert suffix in AUDIO_SUFFIXES or kind == "ts"


@pytest.mark.parametrize("kind", ["m4a", "alac.m4a", "wv", "mov", "mka"])
@pytest.mark.parametrize("n_channels", [6, 8])
def test_many_channels_keep_their_order(kind, n_channels):
    if kind == "alac.m4a" and n_channels == 8:
        pytest.skip("FFmpeg writes ALAC in another layout of eight channels only")
    rate = 48_000
    time = np.arange(rate // 2) / rate
    hz = 300 + 100 * np.arange(n_channels)
    samples = 0.2 * np.sin(2 * np.pi * hz[:, None] * time)
    if kind == "m4a":
        hz[3] = samples[3] = 0  # a channel for low tones, which AAC filters
    waveform, _ = load_audio(encode(kind, samples, rate), mono=False)
    assert waveform.shape[0] == n_channels
    found = np.abs(np.fft.rfft(waveform.numpy()[:, : rate // 2])).argmax(axis=1) * 2
    assert sorted(found) == sorted(hz)
    assert list(found) == list(hz)


def video(tmp_path: Path, *, audio_tracks: int, name: str = "film.mp4") -> Path:
    path = tmp_path / name
    samples, rate = tones("mp4")
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 64
        tracks = [file.add_stream("aac", rate=rate, layout="stereo") for _ in range(audio_tracks)]
        for i in range(20):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            file.mux(pictures.encode(frame))
        file.mux(pictures.encode(None))
        for i, track in enumerate(tracks):
            sound = np.ascontiguousarray(samples / (i + 1))
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = rate, 0
            file.mux(track.encode(frame))
            file.mux(track.encode(None))
    return path


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_of_a_video_the_first_audio_track_is_heard(tmp_path, name):
    waveform, rate = load_audio(video(tmp_path, audio_tracks=2, name=name), mono=False)
    level = waveform[0, rate // 4 : rate // 2].square().mean().sqrt()
    assert waveform.shape[0] == 2
    assert 16_000 <= waveform.shape[1] <= 16_000 + MAX_LONGER  # the pictures last two seconds
    assert float(level) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_a_video_without_sound_is_refused(tmp_path):
    with pytest.raises(AudioError, match=r"film\.mp4, an MP4/M4A file, has no audio track"):
        load_audio(video(tmp_path, audio_tracks=0))


def test_a_recording_that_was_cut_off_is_refused():
    data = encode("m4a", *tones("m4a", seconds=3), movflags="faststart")
    with pytest.raises(AudioError, match=r"truncated: only \d+%|is damaged after"):
        load_audio(data[: len(data) // 2])
    with pytest.raises(AudioError, match="cannot be read as audio"):
        load_audio(encode("m4a", *tones("m4a"))[:8000])  # its index would be at its end
    for kind in ("mka", "wv"):
        data = encode(kind, *tones(kind, seconds=8))
        with pytest.raises(AudioError, match=r"truncated: only \d+%|is damaged after"):
            load_audio(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["aac", "amr", "ac3"])
def test_of_a_stream_that_was_stopped_all_is_heard(kind):
    data = encode(kind, *tones(kind, seconds=3))
    whole, rate = load_audio(data)
    half, _ = load_audio(data[: len(data) // 2])
    assert len(half) / len(whole) == pytest.approx(0.5, abs=0.05)
    n = len(half) - rate // 5  # the last frame may be cut
    assert torch.equal(half[:n], whole[:n])


@pytest.mark.parametrize("n_zeros", [2, 13, 14, 20_000, 2**17])
def test_zeros_after_the_frames_of_amr_are_no_silence(n_zeros):
    data = encode("amr", *tones("amr"))
    assert torch.equal(load_audio(data + bytes(n_zeros))[0], load_audio(data)[0])


def test_what_else_follows_the_frames_of_amr_is_refused():
    data = encode("amr", *tones("amr"))
    with pytest.raises(AudioError, match="damaged after"):
        load_audio(data + np.random.default_rng(1).bytes(20_000))


@pytest.mark.parametrize(
    ("start", "frames"),
    [
        (b"#!AMR\n", [(0, 13), (7, 32), (8, 6), (15, 1)]),
        (b"#!AMR-WB\n", [(0, 18), (8, 61), (9, 6), (14, 1), (15, 1), (1, 24)]),
    ],
)
def test_frames_of_amr_keep_their_own_zeros(start, frames):
    data = start + b"".join(bytes([kind << 3 | 4]) + bytes(n - 1) for kind, n in frames)
    file = AudioFile(data + bytes(70_000))
    skip_zeros_at_end(file)
    assert file.peek(0, file.size) == data
    damaged = AudioFile(start + b"\x64" + data[len(start) :] + bytes(70_000))
    skip_zeros_at_end(damaged)  # a type that is none
    assert damaged.size == 1 + len(data) + 70_000


def test_damage_ends_the_blocks_where_it_is():
    data = bytearray(encode("aac", *tones("aac", seconds=3)))
    middle = data.index(b"\xff\xf1", len(data) // 2)
    data[middle + 7 : middle + 20] = b"\xff" * 13
    blocks = []
    with pytest.raises(AudioError, match=r"is damaged after about \d\.\d s \("):
        blocks.extend(audio_blocks(bytes(data), block_samples=1000))
    assert torch.equal(torch.cat(blocks), load_audio(bytes(data[:middle]))[0])


def test_a_block_takes_no_more_of_the_file_than_it_needs():
    data = encode("aac", *tones("aac", seconds=20))
    file = io.BytesIO(data)
    next(audio_blocks(file, block_samples=1000))
    assert file.tell() < len(data) // 2


def test_a_change_of_rate_on_the_way_is_refused():
    first, second = encode("aac", *tones("aac")), encode("aac", tones("aac")[0], 32_000)
    with pytest.raises(AudioError, match="changes from 16000 Hz and 2 channels to 32000 Hz and 2"):
        load_audio(first + second)


def test_the_rate_of_aac_with_a_restored_band_is_that_of_its_sound():
    # AAC of 16 kHz, declared as HE-AAC of 32 kHz: kind 5, rates 8 and 5, inner kind 2.
    data = encode("m4a", tones("m4a")[0], 16_000)
    at = data.index(b"\x14\x10\x56\xe5\x00")
    declared = int(f"{5:05b}{8:04b}{2:04b}{5:04b}{2:05b}".ljust(40, "0"), 2).to_bytes(5, "big")
    waveform, rate = load_audio(data[:at] + declared + data[at + 5 :])
    assert rate == 32_000
    assert 32_000 <= len(waveform) <= 32_000 + 2 * MAX_LONGER
    assert int(np.abs(np.fft.rfft(waveform[:rate].numpy())).argmax()) in (440, 660)


def test_a_failing_disk_is_no_end():
    class Failing(io.BytesIO):
        def readinto(self, buffer):
            if self.tell() > 9_000:
                raise OSError(5, "Input/output error")
            return super().readinto(buffer)

    with pytest.raises(AudioError, match=r"cannot be read: .*Input/output error"):
        load_audio(Failing(encode("aac", *tones("aac", seconds=3))))


def test_an_interrupt_is_no_end():
    class Interrupted(io.BytesIO):
        def readinto(self, buffer):
            if self.tell() > 9_000:
                raise KeyboardInterrupt
            return super().readinto(buffer)

    with pytest.raises(KeyboardInterrupt):
        load_audio(Interrupted(encode("aac", *tones("aac", seconds=3))))


def with_number(data: bytes, box: bytes, distance: int, number: int) -> bytes:
    at = data.index(box) + distance
    return data[:at] + struct.pack(">I", number) + data[at + 4 :]


def test_a_count_of_samples_takes_no_memory():
    n = 50_000_000  # 2.3 GB of FFmpeg's index
    whole = encode("m4a", *tones("m4a"))
    for data in (
        with_number(with_number(whole, b"stsz", 8, 1), b"stsz", 12, n),
        with_number(
            with_number(encode("m4a", *tones("m4a"), movflags="empty_moov"), b"trun", 4, 0),
            b"trun",
            8,
            n,
        ),
    ):
        with pytest.raises(AudioError, match="counts more samples than the file has bytes"):
            load_audio(data)
    alac = encode("alac.m4a", *tones("alac.m4a"))
    inner = alac.index(b"alac", alac.index(b"alac", alac.index(b"stsd")) + 4) - 4
    assert alac[inner + 12 : inner + 16] == struct.pack(">I", 4096)
    with pytest.raises(AudioError, match="its header is damaged"):
        load_audio(alac[: inner + 12] + struct.pack(">I", 4096**2) + alac[inner + 16 :])


# --- without PyAV


def test_without_pyav_the_error_names_both_ways_out(monkeypatch, tmp_path):
    path = tmp_path / "memo.m4a"
    path.write_bytes(encode("m4a", *tones("m4a")))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError) as caught:
        load_audio(path)
    assert str(caught.value) == (
        f"{path} is an MP4/M4A file; to read it, pip install "
        '"soundsep[formats]", or convert it: ffmpeg -i memo.m4a memo.wav'
    )


def test_a_pyav_that_corrupts_memory_is_not_used(monkeypatch):
    monkeypatch.setattr(av, "__version__", "17.1.0")
    with pytest.raises(
        AudioError, match=r'17\.1\.0 is installed, which can corrupt.*"soundsep\[formats\]"'
    ):
        load_audio(encode("m4a", *tones("m4a")))


def test_the_command_names_the_file():
    assert convert_command("/a b/memo.m4a") == "ffmpeg -i memo.m4a memo.wav"
    assert convert_command("my memo.3gp") == 'ffmpeg -i "my memo.3gp" "my memo.wav"'
    assert convert_command("the bytes given") == "ffmpeg -i recording.m4a recording.wav"


# --- what is no recording


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.wav", bytes(2000))
    return buffer.getvalue()


NO_RECORDINGS = {
    "an empty file (0 bytes)": b"",
    "an HTML page": b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "a gzip archive": gzip.compress(bytes(100)),
    "a ZIP archive": zipped(),
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "an image": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "a text file": b"0.0\t1.5\tdog\n2.0\t3.5\tcat\n" * 400 + "é".encode() * 3000,
    "a JSON or other text file": b'{"path": "a.wav"}',
    "an XML file": b'<?xml version="1.0"?><a/>',
    "a companion file of macOS": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(100),
    "zero bytes where its header should be": bytes(5000),
    "a MIDI file": b"MThd\x00\x00\x00\x06\x00\x01\x00\x02\x00\x60",
    "a NumPy array": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}",
    "a Monkey's Audio file": b"MAC \x96\x0f\x00\x00" + bytes(100),
    "a tar archive": b"a.wav" + bytes(252) + b"ustar\x0000" + bytes(300),
}


@pytest.mark.parametrize("what", NO_RECORDINGS)
def test_what_is_no_recording_is_named(what, tmp_path):
    path = tmp_path / "night.wav"
    path.write_bytes(NO_RECORDINGS[what])
    with pytest.raises(AudioError) as caught:
        load_audio(path)
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be read as audio: it is {what}")
    assert "; " in message


def test_noise_and_formats_of_libsndfile_are_not_named():
    assert contents_of(np.random.default_rng(0).bytes(4096)) is None
    for start in (b"RIFF\x24\x00\x00\x00WAVE", b"fLaC", b"OggS", b"FORM", b".snd", b"ID3\x04\x00"):
        assert contents_of(start + bytes([128]) * 4000) is None


# --- nothing but the file that was given is read


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def playlists(address: str, path: Path) -> dict[str, str]:
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n"
    return {
        "hls": hls.format(address),
        "hls file": hls.format(path),
        "concat": f"ffconcat version 1.0\nfile '{path}'\n",
        "concat url": f"ffconcat version 1.0\nfile '{address}'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=audio 5004 RTP/AVP 97\na=rtpmap:97 opus/48000/2\n",
        "dash": f'<?xml version="1.0"?><MPD><BaseURL>{address}</BaseURL></MPD>',
        "asx": f'<asx version="3.0"><entry><ref href="{address}"/></entry></asx>',
    }


@pytest.mark.parametrize("kind", ["hls", "hls file", "concat", "concat url", "sdp", "dash", "asx"])
def test_a_playlist_reads_nothing_and_asks_nothing(kind, server, tmp_path):
    other = tmp_path / "other.m4a"
    other.write_bytes(encode("m4a", *tones("m4a")))
    text = playlists(f"http://127.0.0.1:{server.server_port}/a.aac", other)[kind]
    for name in ("list.m3u8", "list.m4a"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(AudioError, match="it is a playlist"):
            load_audio(path)
    # Even with the demuxer that would follow it, which is none of ours.
    demuxer = {"asx": "hls"}.get(kind, kind.split()[0])
    if demuxer in av.formats_available:
        file = AudioFile(path)
        with pytest.raises(AudioError):
            FfmpegReader(file, Contents("a playlist", demuxer))
        file.close()
    assert server.asked == []


def test_ffmpeg_by_itself_would_follow_a_playlist(server, tmp_path):
    path = tmp_path / "list.m3u8"
    address = f"http://127.0.0.1:{server.server_port}/a.aac"
    path.write_text(playlists(address, path)["hls"], encoding="utf-8")
    with pytest.raises(av.FFmpegError):
        av.open(str(path), options={"protocol_whitelist": "file,http,tcp"})
    assert server.asked[:1] == ["/a.aac"]


def test_a_mov_that_refers_to_another_file_reads_nothing(tmp_path):
    data = encode("mov", *tones("mov"))
    other = tmp_path / "other.mov"
    other.write_bytes(data)
    # An alias as QuickTime writes it, to data that lie in the other file.
    path = str(other).encode()
    path += bytes(len(path) % 2)
    alias = b"alis" + bytes(4 + 150) + struct.pack(">hh", 2, len(path)) + path + b"\xff\xff\0\0"
    alias = struct.pack(">I", 4 + len(alias)) + alias
    at = data.index(b"dref") - 4
    size = struct.unpack(">I", data[at : at + 4])[0]
    old = data[at + 16 : at + size]
    grown = len(alias) - len(old)
    out = bytearray(data[:at] + struct.pack(">I", size + grown) + data[at + 4 : at + 16])
    out += alias + data[at + size :]
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = out.index(name) - 4
        (n_bytes,) = struct.unpack(">I", out[place : place + 4])
        out[place : place + 4] = struct.pack(">I", n_bytes + grown)
    pointer = tmp_path / "pointer.mov"
    pointer.write_bytes(bytes(out))
    with av.open(str(pointer), options={"enable_drefs": "1", "use_absolute_path": "1"}) as file:
        assert next(file.decode(audio=0)).samples, "FFmpeg follows it, when allowed to"
    with pytest.raises(AudioError):
        load_audio(pointer)
