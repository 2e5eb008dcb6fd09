"""The page in a real browser."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from soundsep import Event, write_report
from soundsep.cli.formats import EventLines
from soundsep.datasets import AudioTable, Piece
from soundsep.pipeline import read_events

RATE = 16_000
HOSTILE = "<img src=x onerror=document.title='broken'>, \"a\" 20240519_233000.wav"

pytestmark = pytest.mark.slow


@pytest.fixture
def night(tmp_path):
    """A recording with a hostile name, three of its events, and the page."""
    recording = tmp_path / HOSTILE
    times = np.arange(20 * RATE) / RATE
    samples = 0.3 * np.sin(2 * np.pi * 1_000 * times)
    samples += 0.01 * np.random.default_rng(0).standard_normal(len(times))
    soundfile.write(recording, samples, RATE)
    events = [
        Event(2.0, 3.0, "owl", 0.9),
        Event(8.0, 9.0, "dog", 0.4),
        Event(14.0, 15.5, "owl", 0.6),
        Event(17.0, 18.0, "</script><script>document.title='broken'</script>", 0.35),
    ]
    page = tmp_path / "night.html"
    write_report({str(recording): events}, page)
    return recording, page


@pytest.fixture
def opened(browser, night):
    """The page in a tab; nothing went wrong in it, and it asked for nothing, at the end."""
    _, path = night
    context = browser.new_context(viewport={"width": 1_280, "height": 900})
    tab = context.new_page()
    faults, asked = [], []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda message: faults.append(message.text))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    yield tab
    assert faults == []
    assert {url for url in asked if not url.startswith(("blob:", "data:"))} == {path.as_uri()}
    context.close()


def labels(tab):
    return tab.locator(".row .name").all_inner_texts()


def saved(tab, button, path):
    with tab.expect_download() as download:
        tab.click(button)
    download.value.save_as(path)
    return path


def test_names_are_text(opened):
    assert "broken" not in opened.title().replace(HOSTILE, "")
    assert opened.locator("h1").inner_text() == " ".join(HOSTILE.split())
    assert opened.locator("img, script[src]").count() == 0
    assert len(labels(opened)) == 4


def test_the_facts_are_said_once(browser, night, tmp_path):
    recording, page = night
    other = tmp_path / "other.wav"
    other.write_bytes(recording.read_bytes())
    tab = browser.new_page()
    event = Event(2.0, 3.0, "owl", 0.9)
    for found, facts in (
        ({other: [event], recording: []}, "2 recordings, 40.0 s, 1 event"),
        ({other: []}, "20.0 s, 0 events"),
    ):
        write_report(found, page)
        tab.goto(page.as_uri())
        assert tab.locator("#facts").inner_text() == facts
        assert "recordings" not in tab.locator("h1").inner_text()
    tab.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_event_of_a_low_score_has_an_edge_of_its_full_colour(browser, night, theme):
    context = browser.new_context(color_scheme=theme)
    tab = context.new_page()
    tab.goto(night[1].as_uri())
    wait_until(tab, "lanes.length && !isWaiting")
    lowest = "events.reduce((a, b) => (b.score < a.score ? b : a))"
    drawn, wanted = tab.evaluate(
        f"""() => {{
          const event = {lowest};
          const dot = [...document.querySelectorAll(".row")].find(
            (row) => row.querySelector(".name").textContent === event.label).querySelector(".dot");
          const x = Math.ceil(xOf(event.start)) + 3;
          const y = SPECTROGRAM + AXIS + laneOf(event.label) * LANE + 14;
          const pixel = [...pen.getImageData(x, y, 1, 1).data.slice(0, 3)];
          return [`rgb(${{pixel.join(", ")}})`, getComputedStyle(dot).backgroundColor];
        }}"""
    )
    context.close()
    assert drawn == wanted


def test_filters_and_orders(opened):
    opened.select_option("#order", "score")
    assert labels(opened)[:3] == ["owl", "owl", "dog"]
    opened.fill("#least", "0.5")
    assert labels(opened) == ["owl", "owl"]
    opened.fill("#least", "0")
    opened.select_option("#label", "dog")
    assert labels(opened) == ["dog"]
    opened.locator(".row").click()
    opened.keyboard.press("a")
    opened.select_option("#label", "")
    opened.select_option("#verdict", "open")
    assert "dog" not in labels(opened)
    assert len(labels(opened)) == 3


def wait_until(page, condition):
    """As `wait_for_function`, which the page's own rules against `eval` do not let wait."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {condition}")


def test_a_click_is_heard(opened):
    # Slowly: on a busy machine it would be over before it is looked at.
    opened.evaluate("player.defaultPlaybackRate = player.playbackRate = 0.1")
    opened.locator(".row").nth(2).click()
    wait_until(opened, "player.played.length && player.played.end(0) > player.played.start(0)")
    assert opened.evaluate("player.error") is None
    assert opened.evaluate("playhead()") == pytest.approx(13.0, abs=1.5)
    assert opened.inner_text("#play") == "Stop"
    opened.locator("#list").press(" ")
    assert opened.evaluate("player.paused")


def test_a_sound_that_is_stopped_while_it_loads_stays_silent(opened):
    found = opened.evaluate(
        """async () => {
          play(0, 2, 3);
          const shown = byId("play").textContent;
          stop();
          play(0, 14, 15.5);
          play(0, 8, 9);
          stop();
          await new Promise((resolve) => setTimeout(resolve, 500));
          return [shown, byId("play").textContent, player.paused, byId("status").textContent];
        }"""
    )
    assert found == ["Stop", "Play", True, ""]


def test_the_picture_is_drawn_in_frequency_and_time(opened):
    wait_until(opened, "[...pictures.values()].some((image) => image.complete)")
    opened.wait_for_timeout(200)
    rows = opened.evaluate(
        """() => {
          const ratio = devicePixelRatio;
          const x = Math.round(xOf(10) * ratio);
          const pixels = pen.getImageData(x, 0, 1, SPECTROGRAM * ratio).data;
          return Array.from({length: SPECTROGRAM}, (_, y) => pixels[4 * Math.round(y * ratio)]);
        }"""
    )
    tick = opened.evaluate("SPECTROGRAM * (1 - recording().ticks.find((t) => t[1] === '1k')[0])")
    assert np.argmax(rows) == pytest.approx(tick, abs=6)  # the tone of 1 kHz
    assert opened.inner_text("#span") == "2024-05-19 23:30:00 \u2013 23:30:20"
    opened.click("#in")
    assert opened.inner_text("#span") == "2024-05-19 23:30:05 \u2013 23:30:15"
    opened.locator("#picture").press("ArrowRight")
    assert opened.inner_text("#span") == "2024-05-19 23:30:08 \u2013 23:30:18"


def test_corrections_are_saved_and_read_again(opened, night, tmp_path):
    recording, _ = night
    opened.locator(".row").first.click()
    opened.keyboard.press("a")  # and on to the next
    opened.keyboard.press("d")
    opened.keyboard.press("r")
    opened.keyboard.type('tawny owl, "male"')
    opened.keyboard.press("Enter")
    opened.keyboard.press("n")
    opened.keyboard.type("rain")
    opened.keyboard.press("Enter")
    opened.fill("#start", "5.5")
    opened.fill("#end", "6.25")
    opened.keyboard.press("Enter")
    timed = list(read_events(saved(opened, "#csv", tmp_path / "saved.csv")))
    assert {item.path for item in timed} == {str(recording)}
    assert [item.event for item in timed][:3] == [
        Event(2.0, 3.0, "owl", 0.9),
        Event(5.5, 6.25, "rain", 1.0),
        Event(14.0, 15.5, 'tawny owl, "male"', 1.0),
    ]
    assert timed[1].start_time.isoformat() == "2024-05-19T23:30:05.500000"
    assert len(timed) == 4  # with the one that was not looked at
    clips = AudioTable(tmp_path / "saved.csv", partial=True)  # what `soundsep fit` learns from
    assert [(clip.label, clip.audio) for clip in clips][1] == ("rain", Piece(recording, 5.5, 6.25))
    opened.check("#checked")
    assert len(list(read_events(saved(opened, "#csv", tmp_path / "checked.csv")))) == 3
    track = saved(opened, "#audacity", tmp_path / "track.txt").read_text().splitlines()
    heard = AudioTable(tmp_path / "track.txt", recordings=recording, partial=True)
    assert next(iter(heard)).audio == Piece(recording, 2.0, 3.0)
    assert track[0] == "2.0000\t3.0000\towl"
    assert len(track) == 3
    opened.reload()
    assert "are back" in opened.inner_text("#status")
    assert 'tawny owl, "male"' in labels(opened)
    opened.evaluate("state.unsaved = false")


def test_what_was_corrected_stays_when_a_verdict_is_taken_back(opened):
    said = """() => events.map((e) => [e.start, e.end, e.label, e.verdict])"""
    opened.evaluate(
        """() => {
          rename(events[0], "tawny");
          moveEdges(events[1], 8.5, 9.5);
          judge(events[1], "agreed");
          judge(events[2], "agreed");
          judge(events[2], "agreed");
          addEvent();
          for (const event of [events[0], events[4]]) {
            judge(event, "wrong");
            judge(event, "wrong");
          }
          rename(events[4], "rain");
        }"""
    )
    found = opened.evaluate(said)
    assert found[:3] == [
        [2, 3, "tawny", "renamed"],
        [8.5, 9.5, "dog", "agreed"],
        [14, 15.5, "owl", ""],
    ]
    assert found[4][2:] == ["rain", "added"]
    opened.evaluate("state.unsaved = false")
    opened.reload()
    assert opened.evaluate(said) == found
    opened.evaluate("state.unsaved = false")


def test_the_saved_table_is_that_of_the_library(opened, night, tmp_path):
    recording, _ = night
    expected = tmp_path / "expected.csv"
    lines = EventLines("csv", high_hz=1.0, titles=False)
    events = opened.evaluate("events.map((e) => [e.start, e.end, e.label, e.score])")
    rows = [
        lines.line(str(recording), Event(float(start), float(end), label, float(score)))
        for start, end, label, score in events
    ]
    expected.write_text("\n".join([*lines.head(), *rows]) + "\n", newline="\n")
    assert saved(opened, "#csv", tmp_path / "saved.csv").read_bytes() == expected.read_bytes()


def test_a_list_of_thousands_has_few_rows(browser, tmp_path):
    recording = tmp_path / "a.wav"
    soundfile.write(recording, np.random.default_rng(0).uniform(-0.1, 0.1, 60 * RATE), RATE)
    events = [Event(k / 100, k / 100 + 0.5, f"label {k % 40}", 0.5) for k in range(5_000)]
    page = tmp_path / "a.html"
    write_report({str(recording): events}, page, max_bytes=2_000_000)
    tab = browser.new_page(viewport={"width": 400, "height": 800})
    tab.goto(page.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") == 400
    assert 5 < tab.locator(".row").count() < 40
    tab.locator("#list").press("End")
    assert 5 < tab.locator(".row").count() < 40
    chosen = tab.locator('.row[aria-selected="true"]')
    assert chosen.get_attribute("aria-posinset") == "5000"
    assert chosen.get_attribute("aria-label").startswith("00:50, label 39, score 0.50, unchecked")
    assert tab.locator("#list").get_attribute("aria-activedescendant") == "row4999"
    tab.close()
