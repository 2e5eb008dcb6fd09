from __future__ import annotations

import re
import struct
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from soundsep.audio import recording_start
from soundsep.errors import ConfigError

NAMES = {
    "20240519_033000.WAV": "2024-05-19T03:30:00",  # AudioMoth
    "20240519_033000T.WAV": "2024-05-19T03:30:00",  # it was triggered
    "24F31901603710CD_20240519_033000.WAV": "2024-05-19T03:30:00",
    "5AAF9B4E.WAV": "2018-03-19T11:13:18+00:00",  # its first firmware
    "5AAF9B4ET.WAV": None,
    "SM4A01234_20240519_033000.wav": "2024-05-19T03:30:00",  # Song Meter
    "SITE_0+1_20150610$033000.wac": "2015-06-10T03:30:00",
    "SM2_20130519_033000_250.wav": "2013-05-19T03:30:00.250000",
    "20190913T000000+1000_REC [-19.21+152.88].flac": "2019-09-13T00:00:00+10:00",  # Frontier Labs
    "S20240519T063000.123456+1000_E20240519T073000.000000+1000.wav": (
        "2024-05-19T06:30:00.123456+10:00"
    ),
    "20240519T033000Z.wav": "2024-05-19T03:30:00+00:00",
    "20240519_033000Z.wav": "2024-05-19T03:30:00+00:00",
    "20240519_033000_Zoo.wav": "2024-05-19T03:30:00",
    "S1234_20240519_033000_-0330.wav": "2024-05-19T03:30:00-03:30",  # Swift
    "20240519_033000+0545.wav": "2024-05-19T03:30:00+05:45",  # Nepal
    "20240519T033000-0700.wav": "2024-05-19T03:30:00-07:00",
    "20240519_033000-0001.wav": "2024-05-19T03:30:00",  # a number
    "20240519_033000_+9900.wav": "2024-05-19T03:30:00",  # there is no such zone
    "240519-033000.WAV": "2024-05-19T03:30:00",  # Zoom
    "240519_033000_Tr1.WAV": "2024-05-19T03:30:00",
    "5147.240519033000.wav": "2024-05-19T03:30:00",  # SoundTrap
    "2024-05-19 03-30-00.wav": "2024-05-19T03:30:00",  # Anabat
    "2024-05-19 03.30.00.m4a": "2024-05-19T03:30:00",
    "2024-05-19-birdnet-03:30:00.wav": "2024-05-19T03:30:00",  # BirdNET-Pi
    "2024-05-19-birdnet-RTSP_1-03:30:00.wav": "2024-05-19T03:30:00",
    "a.Chan_1-24bps.1277236867.2010-06-22-20-01-07.wav": "2010-06-22T20:01:07",
    "DJI_20240519033000.wav": "2024-05-19T03:30:00",
    "PXL_20240519_033000123.mp4": "2024-05-19T03:30:00.123000+00:00",  # in UTC, unlike others
    "PXL_20240519_033000123.TS.mp4": "2024-05-19T03:30:00.123000+00:00",
    "PXL_20240519_033000123~2.m4a": "2024-05-19T03:30:00.123000+00:00",
    "PXL_20240519_0330001234.mp4": None,
    "VID_20240519_033000.mp4": "2024-05-19T03:30:00",
    "20240229_120000.wav": "2024-02-29T12:00:00",
    # What only looks like a date.
    "20241319_033000.wav": None,  # month 13
    "20230229_120000.wav": None,
    "20240519_243000.wav": None,
    "20240519_036000.wav": None,
    "34440445_202306.wav": None,
    "12345678_123456.wav": None,
    "999999-123456.wav": None,
    "920240519_033000.wav": None,
    "20240519_0330001.wav": None,
    "120240519033000.wav": None,
    "210101_001.WAV": None,  # Zoom's day and number
    "240519_0001.mp3": None,
    "20240519.wav": None,
    "DEADBEEF.WAV": None,
    "58000001.WAV": None,
    "dog.wav": None,
    "": None,
    # The wrong one first.
    "20241301_000000_20240519_033000.wav": "2024-05-19T03:30:00",
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_names(name, expected):
    found = recording_start(Path("20200101_000000") / name if name else name)
    assert (found and found.isoformat()) == expected


def test_the_page_tells_the_truth():
    page = (Path(__file__).parents[3] / "docs" / "night.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|`]+ \| (`.+`) \| (20\S+) \|$", page, re.MULTILINE)
    assert len(rows) == 10
    for names, expected in rows:
        for name in re.findall("`(.+?)`", names):
            found = recording_start(name)
            assert found is not None
            assert found.isoformat() == expected


OWN = [
    ("REC %d.%m.%y %Hh%M.wav", "REC 19.05.24 03h30.wav", "2024-05-19T03:30:00"),
    ("%Y-%m-%d/%H%M", "card/2024-05-19/0330.wav", "2024-05-19T03:30:00"),
    ("/%Y%m%d/%H%M", "card1/20240519/0330.wav", "2024-05-19T03:30:00"),
    ("_%Y%m%d", "SITE1_20240519.wav", "2024-05-19T00:00:00"),
    ("%Y%m%d_%H%M%S.%f%z", "20240519_033000.5+0200.wav", "2024-05-19T03:30:00.500000+02:00"),
    ("100%% %Y%m%d", "100% 20240519.wav", "2024-05-19T00:00:00"),
    ("%Y%m%d", "20241319.wav", None),
    ("%Y%m%d_%H%M", "20240519_033015.wav", "2024-05-19T03:30:00"),
    ("%Y%m%d", "120240519.wav", None),
    ("%d%m%Y_%H%M%S", "20240519_033000.wav", None),  # nothing else counts then
]


@pytest.mark.parametrize(("pattern", "path", "expected"), OWN)
def test_a_pattern_of_ones_own(pattern, path, expected):
    found = recording_start(path, pattern=pattern)
    assert (found and found.isoformat()) == expected


@pytest.mark.parametrize(
    "pattern", ["%Y-%m", "%d.%m", "%Q", "%", "%Y%Y%m%d", "%Y%y%m%d", "", "a(b"]
)
def test_a_pattern_without_a_date_is_refused(pattern):
    with pytest.raises(ConfigError, match="%Y"):
        recording_start("a.wav", pattern=pattern)


def wav(path: Path, *extra: tuple[bytes, bytes], after: bool = False) -> Path:
    """A short WAV file with some chunks before or after its sound."""
    fmt = b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    data = b"data", bytes(2_000)
    body = b"".join(
        name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for name, content in ((fmt, data, *extra) if after else (fmt, *extra, data))
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    return path


def comment(text: str) -> tuple[bytes, bytes]:
    content = text.encode() + b"\0"
    return b"LIST", b"INFOICMT" + struct.pack("<I", len(content)) + content


def bext(text: str) -> tuple[bytes, bytes]:
    return b"bext", bytes(320) + text.encode() + bytes(264)


def wamd(*entries: tuple[int, bytes]) -> tuple[bytes, bytes]:
    """A chunk of Wildlife Acoustics: the number of an entry, its length, and its content."""
    return b"wamd", b"".join(struct.pack("<HI", n, len(text)) + text for n, text in entries)


METER = (0, b"\x01\0"), (1, b"SM4"), (4, b"SITE1")
MOTH = "Recorded at {} by AudioMoth 24F31901603710CD at medium gain while battery was 4.1V."
GUANO = "GUANO|Version: 1.0\nMake: Titley\nTimestamp: {}\nNote: a\n"
HEADERS = [
    (comment(MOTH.format("03:30:00 19/05/2024 (UTC)")), "2024-05-19T03:30:00+00:00"),
    (comment(MOTH.format("03:30:00 19/05/2024")), "2024-05-19T03:30:00+00:00"),
    (comment(MOTH.format("03:30:00 19/05/2024 (UTC+5:30)")), "2024-05-19T03:30:00+05:30"),
    (comment(MOTH.format("03:30:00 19/05/2024 (UTC-11)")), "2024-05-19T03:30:00-11:00"),
    (comment(MOTH.format("03:30:00.250 19/05/2024 (UTC)")), "2024-05-19T03:30:00.250000+00:00"),
    (comment(MOTH.format("03:30:00 19/13/2024 (UTC)")), None),
    (comment("Recorded at home by me"), None),
    (
        (b"guan", GUANO.format("2024-05-19T03:30:00.5-07:00").encode()),
        "2024-05-19T03:30:00.500000-07:00",
    ),
    ((b"guan", GUANO.format("2024-05-19 03:30:00").encode()), "2024-05-19T03:30:00"),
    ((b"guan", GUANO.format("2024-05-19T03:30:00Z").encode()), "2024-05-19T03:30:00+00:00"),
    ((b"guan", b"\xff\xfe"), None),
    (wamd(*METER, (5, b"2024-05-19 03:30:00-05:00")), "2024-05-19T03:30:00-05:00"),
    (wamd(*METER, (5, b"2024-05-19 03:30:00+0200")), "2024-05-19T03:30:00+02:00"),
    (wamd(*METER, (5, b"2024-05-19 03:30:00.250"), (6, b"WGS84")), "2024-05-19T03:30:00.250000"),
    (wamd(*METER, (5, b"2024-05-19 03:30:00")), "2024-05-19T03:30:00"),
    (wamd(*METER, (10, b"heard on 2024-05-19 03:30:00")), None),
    (wamd(*METER, (5, b"")), None),
    (bext("2024-05-1903:30:00"), "2024-05-19T03:30:00"),
    (bext("2024/05/1903-30-00"), "2024-05-19T03:30:00"),
    (bext("0000-00-0000:00:00"), None),
    (bext("9999-12-3123:30:00"), None),  # later is no time that is one in another zone
    ((b"bext", b"short"), None),
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("chunk", "expected"), HEADERS)
def test_headers(chunk, expected, after, tmp_path):
    found = recording_start(wav(tmp_path / "ZOOM0001.WAV", chunk, after=after))
    assert (found and found.isoformat()) == expected


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
def test_headers_of_large_files(name, tmp_path):
    path = wav(tmp_path / "ZOOM0001.WAV", bext("2024-05-1903:30:00"))
    path.write_bytes(name + path.read_bytes()[4:])
    found = recording_start(path)
    assert found is not None
    assert found.isoformat() == "2024-05-19T03:30:00"


def test_the_better_header_counts(tmp_path):
    late, early = bext("2024-05-2000:00:00"), comment(MOTH.format("03:30:00 19/05/2024 (UTC+2)"))
    found = recording_start(wav(tmp_path / "a.wav", late, early))
    assert found is not None
    assert found.isoformat() == "2024-05-19T03:30:00+02:00"


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("20240519_033000.WAV", "03:30:00 19/05/2024 (UTC+10)", "2024-05-19T03:30:00+10:00"),
        ("20240518_173000.WAV", "03:30:00 19/05/2024 (UTC+10)", "2024-05-19T03:30:00+10:00"),
        (
            "20240519_033000.WAV",
            "03:30:00.250 19/05/2024 (UTC+2)",
            "2024-05-19T03:30:00.250000+02:00",
        ),
        (
            "20240519_013000.WAV",
            "03:30:00.250 19/05/2024 (UTC+2)",
            "2024-05-19T03:30:00.250000+02:00",
        ),
        ("20240519_040000.WAV", "03:30:00 19/05/2024 (UTC+10)", "2024-05-19T04:00:00"),  # a cut
        ("20240519_033000.WAV", "23:30:00 31/12/9999 (UTC-5)", "2024-05-19T03:30:00"),
        ("20240519_033000_-0500.WAV", "03:30:00 19/05/2024 (UTC)", "2024-05-19T03:30:00-05:00"),
    ],
)
def test_the_name_counts_and_the_header_adds_the_zone(name, written, expected, tmp_path):
    found = recording_start(wav(tmp_path / name, comment(MOTH.format(written))))
    assert found is not None
    assert found.isoformat() == expected


def test_a_recorder_keeps_its_offset_when_summer_time_ends():
    start = recording_start("20241027T013000+0200.wav")
    assert start is not None
    assert (start + timedelta(hours=5)).isoformat() == "2024-10-27T06:30:00+02:00"


def test_no_file_of_any_kind_is_an_error(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "b.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\xff")
    (tmp_path / "c.wav").mkdir()
    for name in ("a.wav", "b.wav", "c.wav", "d.wav"):
        assert recording_start(tmp_path / name) is None
    assert recording_start(tmp_path / "e" / "240519-033000.wav") == datetime(2024, 5, 19, 3, 30)
