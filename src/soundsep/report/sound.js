"use strict";
// What is heard: pieces of the recordings that lie in the page.

const player = new Audio();
const addresses = new Map(); // of clips, once they are decoded
// turn: counts starts and stops, so that a start which was waiting knows that it came too late.
const playing = { recording: 0, offset: 0, until: 0, isOn: false, turn: 0 };
const LEAD = 1; // seconds before and after an event

function clipAt(of, seconds) {
  return of.clips.find(([start, end]) => start <= seconds && seconds < end);
}

function addressOf(id) {
  if (!addresses.has(id)) {
    const bytes = Uint8Array.from(atob(byId(id).textContent), (c) => c.charCodeAt(0));
    addresses.set(id, URL.createObjectURL(new Blob([bytes], { type: "audio/ogg; codecs=opus" })));
  }
  return addresses.get(id);
}

function stop() {
  playing.turn += 1;
  playing.isOn = false;
  player.pause();
  soundChanged();
}

async function play(number, from, until) {
  const of = data.recordings[number];
  const clip = clipAt(of, from);
  if (!clip) {
    say("The page holds no sound of this moment; the link opens the recording.");
    return false;
  }
  const address = addressOf(clip[2]);
  const turn = playing.turn + 1;
  Object.assign(playing, { recording: number, offset: clip[0], until, isOn: true, turn });
  soundChanged();
  if (player.src !== address) {
    player.src = address;
    await new Promise((resolve) => {
      player.onloadedmetadata = resolve;
      player.onerror = resolve;
    });
    if (turn !== playing.turn) return false;
  }
  player.currentTime = from - clip[0];
  try {
    await player.play();
  } catch {
    if (turn !== playing.turn) return false; // stopped, or another sound begun
    playing.isOn = false;
    say("This browser cannot play the sound.");
  }
  if (turn !== playing.turn) return false;
  soundChanged();
  requestAnimationFrame(follow);
  return playing.isOn;
}

function playEvent(event) {
  const clip = clipAt(data.recordings[event.recording], event.start);
  const from = clip ? Math.max(clip[0], event.start - LEAD) : event.start;
  return play(event.recording, from, event.end + LEAD);
}

const playhead = () => playing.offset + player.currentTime;

function follow() {
  if (!playing.isOn) return;
  if (playhead() >= playing.until || player.ended) stop();
  else requestAnimationFrame(follow);
  redraw();
}

function soundChanged() {
  byId("play").textContent = playing.isOn ? "Stop" : "Play";
}
