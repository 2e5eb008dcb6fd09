"""The page that runs a model in the browser, in Debian's Chromium or that which CHROMIUM names."""

from __future__ import annotations

import functools
import http.server
import os
import re
import runpy
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from build_try import build
from soundsep import Pipeline
from soundsep.checkpoints import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
SECONDS = 1_000  # milliseconds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    runpy.run_path(str(ROOT / "examples" / "synthesise_sounds.py"))["main"](folder)
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page, on this machine."""
    folder = tmp_path_factory.mktemp("page")
    try:
        build(folder, model=DEFAULT_MODEL)
    except OSError as error:
        pytest.skip(f"ONNX Runtime for the web cannot be had: {error}")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def microphone(sounds, tmp_path_factory) -> Path:
    """What the fake microphone plays, over and over: a siren."""
    samples, rate = soundfile.read(sounds / "synthetic_siren.wav")
    path = tmp_path_factory.mktemp("microphone") / "siren.wav"
    soundfile.write(path, samples, rate, "PCM_16")
    return path


@pytest.fixture(scope="module")
def browser(microphone):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
            ],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser, address):
    """The page, ready; it asked nobody but its own folder, and nothing went wrong in it."""
    context = browser.new_context(viewport={"width": 800, "height": 900})
    opened = context.new_page()
    faults, asked = [], []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    context.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    says(opened, "^Ready[.]$")
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith(address) and url[:5] != "blob:"] == []
    assert faults == []


def says(tab, pattern: str, where: str = "#status", seconds: int = 30) -> None:
    """Wait until it does; `wait_for_function` would need eval, which the page forbids."""
    from playwright.sync_api import expect

    expect(tab.locator(where)).to_have_text(re.compile(pattern), timeout=seconds * SECONDS)


def scores(tab) -> dict[str, float]:
    """The bars."""
    rows = tab.locator("#bars li").evaluate_all(
        "items => items.map((li) => [li.querySelector('.name').textContent, "
        "li.querySelector('meter').value])"
    )
    return dict(rows)


def give(tab, path: Path) -> None:
    tab.set_input_files("#file", str(path))
    says(tab, rf"^{re.escape(path.name)}: .* heard[.]$", seconds=60)


@pytest.mark.parametrize(
    ("name", "rate", "n_channels", "n_seconds", "gain"),
    [
        ("siren", 32_000, 1, 5, 1.0),
        ("church_bells", 44_100, 2, 12, 1.0),
        ("rain", 16_000, 1, 3, 1.0),
        ("door_knock", 48_000, 1, 8, 1.0),
        ("siren", 44_100, 1, 9, 0.003),  # softer than the model's level
    ],
)
def test_a_file_has_the_scores_that_python_gives_it(
    tab, sounds, tmp_path, name, rate, n_channels, n_seconds, gain
):
    samples, own = soundfile.read(sounds / f"synthetic_{name}.wav")
    times = np.arange(n_seconds * rate) / rate  # played again from its start, at another rate
    samples = np.interp(times % (len(samples) / own), np.arange(len(samples)) / own, samples)
    samples += 1e-4 * np.random.default_rng(0).standard_normal(len(samples))
    samples *= gain
    path = tmp_path / f"{name}.wav"
    channels = np.stack([samples * (0.9, 0.5)[c] for c in range(n_channels)], 1)
    soundfile.write(path, channels, rate, "FLOAT" if gain < 1 else None)
    result = Pipeline.from_pretrained(DEFAULT_MODEL)(path)
    give(tab, path)
    found = scores(tab)
    assert next(iter(found)) == result.label
    expected = {p.label: p.score for p in result.predictions}
    assert found == pytest.approx({label: expected[label] for label in found}, abs=1e-3)


def test_events_of_a_file_say_when(tab, sounds, tmp_path):
    siren, rate = soundfile.read(sounds / "synthetic_siren.wav")
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(10 * rate)
    path = tmp_path / "late siren.wav"
    soundfile.write(path, np.concatenate([quiet, siren[: 5 * rate]]), rate)
    give(tab, path)
    rows = tab.locator("#events tr").all_inner_texts()
    (row,) = [row.split("\t") for row in rows if "siren" in row]
    assert 7.5 <= float(row[0]) <= 10.0
    assert float(row[1]) == pytest.approx(15.0, abs=0.01)


def test_the_microphone_is_named_within_two_windows(tab):
    tab.click("#listen")
    says(tab, "^siren$", "#bars li:first-child .name", seconds=15)
    says(tab, "siren", "#events")
    inked = "Array.from(document.getElementById('picture').getContext('2d')"
    inked += ".getImageData(700, 0, 100, 160).data).some((x, i) => i % 4 < 3 && x > 60)"
    assert tab.evaluate(inked)
    tab.click("#listen")
    says(tab, "^Stopped[.]$")
    before = tab.inner_text("#events")
    tab.wait_for_timeout(3 * SECONDS)
    assert tab.inner_text("#events") == before


CLICKS = """
async () => {
  const { Picture } = await import("./picture.js");
  const found = [];
  for (let place = 2000; place < 2800; place += 50) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [10, 8];
    const picture = new Picture(canvas, 16000), samples = new Float32Array(4000);
    samples[place] = 1;
    for (let at = 0; at < 4000; at += 800) picture.column(samples.subarray(at, at + 800));
    const { data } = canvas.getContext("2d").getImageData(5, 4, 5, 1);
    found.push(Math.max(...data.filter((_, i) => i % 4 < 3)));
  }
  return found;
}
"""


def test_a_click_is_in_the_picture_wherever_it_falls(tab):
    brightness = tab.evaluate(CLICKS)
    assert min(brightness) > 0.7 * max(brightness)


SLOWLY = """
window.opened = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  await new Promise((resolve) => setTimeout(resolve, 500));
  const stream = await ask(wanted);
  window.opened.push(stream);
  return stream;
};
true
"""
N_LIVE = "opened.filter((s) => s.getTracks().some((t) => t.readyState === 'live')).length"


def test_a_permission_that_comes_late_leaves_no_microphone_on(tab, sounds):
    tab.evaluate(SLOWLY)
    tab.evaluate("for (let i = 0; i < 2; i++) document.getElementById('listen').click()")
    says(tab, "^Stop listening$", "#listen")
    tab.wait_for_timeout(SECONDS)
    assert tab.evaluate("opened.length") == 2
    assert tab.evaluate(N_LIVE) == 1
    tab.click("#listen")
    says(tab, "^Stopped[.]$")
    assert tab.evaluate(N_LIVE) == 0
    tab.click("#listen")
    give(tab, sounds / "synthetic_siren.wav")
    tab.wait_for_timeout(SECONDS)
    assert tab.evaluate("opened.length") == 3
    assert tab.evaluate(N_LIVE) == 0
    says(tab, "heard[.]$")


def test_what_cannot_be_heard_is_said_and_the_page_goes_on(tab, sounds, tmp_path):
    hostile = tmp_path / "<img src=x onerror=document.title='broken'>.wav"
    hostile.write_bytes(b"no sound")
    tab.set_input_files("#file", str(hostile))
    says(tab, rf"^{re.escape(hostile.name)} cannot be heard")
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(32_000), 32_000)
    tab.set_input_files("#file", str(silence))
    says(tab, "it is silence")
    give(tab, sounds / "synthetic_siren.wav")
    assert next(iter(scores(tab))) == "siren"
    assert tab.title() == "Try soundsep in the browser"


def test_the_page_may_connect_to_nowhere_else(browser, address):
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(address)
    assert "Nothing leaves this machine" in tab.inner_text("header")
    told = tab.evaluate(
        "new Promise((resolve) => {"
        "document.addEventListener('securitypolicyviolation', (e) => resolve(e.violatedDirective));"
        "fetch('http://127.0.0.1:9/').catch(() => {});"
        "})"
    )
    context.close()
    assert told == "connect-src"
