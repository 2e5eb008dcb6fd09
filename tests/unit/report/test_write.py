from __future__ import annotations

import json
import re
from datetime import datetime

import numpy as np
import pytest
import soundfile

from soundsep import ConfigError, Event, write_report
from soundsep.errors import AudioError
from soundsep.pipeline.event_table import TimedEvent
from soundsep.report.page import SCRIPTS, _text

RATE = 8_000
HOSTILE = "<img src=x onerror=alert(1)> & \"'{{style}}<!-- data -->.wav"


def tone(path, seconds=4.0, hz=1_000):
    times = np.arange(int(seconds * RATE)) / RATE
    rng = np.random.default_rng(0)
    samples = 0.3 * np.sin(2 * np.pi * hz * times) + 0.01 * rng.standard_normal(len(times))
    soundfile.write(path, samples, RATE)
    return str(path)


def read(page):
    """The page's data, and what stands under each id."""
    text = page.read_text("utf-8")
    data = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', text)[1])
    return data, dict(re.findall(r'type="text/plain" id="(m\d+)">([^<]*)</script>', text))


def test_the_page_holds_recordings_events_pictures_and_sounds(tmp_path):
    path = tone(tmp_path / "REC_20240519_233000.wav")
    page = tmp_path / "pages" / "a.html"
    events = [Event(2.0, 3.0, "dog", 0.5), Event(0.5, 1.0, "cat", 0.91239)]
    write_report({path: events}, page, margin_seconds=0.25)
    data, media = read(page)
    assert data["labels"] == ["cat", "dog"]
    assert data["events"] == [[0, 0.5, 1.0, 0, 0.9124], [0, 2.0, 3.0, 1, 0.5]]
    (shown,) = data["recordings"]
    assert shown["link"] == "./../REC_20240519_233000.wav"
    assert shown["start"] == ["2024-05-19T23:30:00.000Z", 0.0, ""]
    assert shown["seconds"] == 4.0
    assert [clip[:2] for clip in shown["clips"]] == [[0.25, 1.25], [1.75, 3.25]]
    assert media[shown["overview"][0]].startswith("iVBOR")  # PNG
    assert all(media[clip[2]].startswith("T2dn") for clip in shown["clips"])  # OggS
    assert set(media) == {shown["overview"][0], *(clip[2] for clip in shown["clips"])}


def test_recordings_are_by_the_clock_if_all_tell_it(tmp_path):
    names = ["A_20240520_010000.wav", "B_20240519_233000.wav", "C_20240520_003000+0200.wav"]
    found = {tone(tmp_path / name, 0.5): [Event(0.1, 0.2, "dog", 0.5)] for name in names}
    for given, expected in ((found, "BCA"), ({**found, tone(tmp_path / "D.wav", 0.5): []}, "ABCD")):
        write_report(given, tmp_path / "a.html")
        data, _ = read(tmp_path / "a.html")
        assert "".join(one["name"][0] for one in data["recordings"]) == expected
        assert [event[0] for event in data["events"]] == [0, 1, 2]


def test_the_same_events_are_the_same_bytes(tmp_path):
    path = tone(tmp_path / "a.wav")
    for name in ("1.html", "2.html"):
        write_report({path: [Event(1.0, 2.0, "dog", 0.5)]}, tmp_path / name)
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


def test_names_and_labels_are_text(tmp_path):
    path = tone(tmp_path / HOSTILE)
    page = tmp_path / "a.html"
    label = "</script><script>alert(2)</script><!--"
    write_report({path: [Event(1.0, 2.0, label, 0.5)]}, page)
    text = page.read_text("utf-8")
    data, _ = read(page)
    assert data["labels"] == [label]
    assert data["recordings"][0]["name"] == HOSTILE
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == len(SCRIPTS) + 1 + 2
    assert "<!--" not in text
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; &quot;&#x27;{{style}}" in text
    assert re.fullmatch(r"\./%3Cimg[\w%.()/-]*\.wav", data["recordings"][0]["link"])


def test_an_address_is_a_path_whatever_the_name_says(tmp_path, monkeypatch):
    tone(tmp_path / "javascript:alert(1).wav")
    monkeypatch.chdir(tmp_path)
    write_report({"javascript:alert(1).wav": []}, "a.html")
    data, _ = read(tmp_path / "a.html")
    assert data["recordings"][0]["link"] == "./javascript%3Aalert%281%29.wav"


def test_the_policy_allows_no_network(tmp_path):
    page = tmp_path / "a.html"
    write_report({tone(tmp_path / "a.wav"): []}, page)
    text = page.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?:|(src|href)=", text.split("<main>")[0] + policy)
    scripts = "".join(map(_text, SCRIPTS))
    assert not re.search(r"https?:|fetch\(|XMLHttp|innerHTML|eval\(|</script|<!--", scripts)


@pytest.mark.parametrize("name", [*SCRIPTS, "page.css", "page.html"])
def test_files_of_the_page_are_short(name):
    assert len(_text(name).splitlines()) < 300


def test_a_page_keeps_its_size_and_the_best_events_of_every_label_their_sound(tmp_path):
    path = tone(tmp_path / "a.wav", seconds=600)
    events = [Event(t, t + 4, "dog", 1 - t / 1_000) for t in range(0, 590, 10)]
    events.append(Event(595.0, 596.0, "owl", 0.1))
    page = tmp_path / "a.html"
    write_report({path: events}, page, max_bytes=1_000_000, margin_seconds=0)
    assert page.stat().st_size < 1_000_000
    (shown,) = read(page)[0]["recordings"]
    starts = [clip[0] for clip in shown["clips"]]
    assert starts[0] == 0
    assert starts[-1] == 595
    assert 10 < len(starts) < 59
    assert starts[:-1] == [10 * k for k in range(len(starts) - 1)]  # by falling score


def test_a_page_of_too_many_recordings_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="do not fit into a page of 1 MB"):
        write_report({f"{k}.wav": [] for k in range(40)}, tmp_path / "a.html", max_bytes=1_000_000)
    assert not (tmp_path / "a.html").exists()


def test_a_damaged_recording_is_shown_up_to_there(tmp_path):
    path = tone(tmp_path / "a.flac", seconds=60)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3_000] = bytes(3_000)
    (tmp_path / "a.flac").write_bytes(data)
    write_report({path: [Event(1.0, 2.0, "dog", 0.5)]}, tmp_path / "a.html")
    (shown,) = read(tmp_path / "a.html")[0]["recordings"]
    assert 5 < shown["seconds"] < 55
    assert shown["fault"]
    (tmp_path / "b.wav").write_text("none")
    with pytest.raises(AudioError):
        write_report({str(tmp_path / "b.wav"): []}, tmp_path / "b.html")
    assert not (tmp_path / "b.html").exists()
    both = {str(tmp_path / "b.wav"): [Event(0.0, 1.0, "ant", 1.0)], path: []}
    skipped = write_report(both, tmp_path / "b.html", errors="skip")
    assert list(skipped) == [str(tmp_path / "b.wav")]
    assert [shown["name"] for shown in read(tmp_path / "b.html")[0]["recordings"]] == ["a.flac"]
    assert len(both) == 2  # the caller's own


def test_events_of_tables_and_what_is_none(tmp_path):
    path = tone(tmp_path / "a.wav")
    event = Event(1.0, 2.0, "dog", 0.5)
    write_report([TimedEvent(path, event, datetime(2024, 1, 1))], tmp_path / "a.html")
    assert read(tmp_path / "a.html")[0]["events"] == [[0, 1.0, 2.0, 0, 0.5]]
    for given in ([], [event], [TimedEvent("", event, None)]):
        with pytest.raises(ConfigError):
            write_report(given, tmp_path / "b.html")


def test_the_title_tells_what_the_facts_do_not(tmp_path):
    """The facts below it begin with the number of recordings."""
    paths = [tone(tmp_path / f"{name}.wav", seconds=0.5) for name in "abc"]
    for n, title in ((1, "a.wav"), (2, "a.wav and 1 more"), (3, "a.wav and 2 more")):
        write_report({path: [] for path in paths[:n]}, tmp_path / "a.html")
        assert read(tmp_path / "a.html")[0]["title"] == title
