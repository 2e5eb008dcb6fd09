"use strict";
// What the buttons, the pointer and the keys do.

function fillChoices() {
  const labels = labelsNow();
  const option = (value, text) => new Option(text, value, false, value === state.label);
  byId("label").replaceChildren(option("", "all"),
    ...labels.map(([label, n]) => option(label, `${label} (${n})`)));
  byId("names").replaceChildren(...labels.map(([label]) => new Option("", label)));
}

function refresh() {
  if (state.label && !events.some((event) => event.label === state.label)) state.label = "";
  fillChoices();
  select();
  const nDone = events.filter((event) => event.verdict).length;
  byId("count").textContent = `${state.shown.length} of ${events.length}, ${nDone} checked`;
  drawRows();
  drawChosen();
  redraw();
}

function show(number) {
  state.recording = number;
  state.marked = null;
  byId("recording").value = String(number);
  const { name, fault, seconds } = recording();
  byId("fault").hidden = !fault;
  byId("fault").textContent = fault ? `Damaged: ${fault}` : "";
  canvas.setAttribute("aria-label", `Spectrogram of ${name} and its events`);
  setView(0, seconds);
}

function viewChanged() {
  const of = recording();
  const day = of.start ? `${of.start[0].slice(0, 10)} ` : "";
  byId("span").textContent = `${day}${clock(of, state.from)} \u2013 ${clock(of, state.to)}`;
  const free = of.seconds - (state.to - state.from);
  byId("position").value = free > 0 ? String(Math.round(state.from / free * 1000)) : "0";
  byId("position").disabled = free <= 0;
  byId("position").setAttribute("aria-valuetext", clock(of, state.from));
}

function judgeAndGoOn(verdict) {
  const event = state.chosen;
  if (!event) return;
  const next = state.shown[state.shown.indexOf(event) + 1];
  judge(event, verdict);
  refresh();
  const isTakenBack = !event.verdict || (event.verdict === "wrong") !== (verdict === "wrong");
  if (!isTakenBack && next) choose(next);
}

function addEvent() {
  const length = Math.min(1, (state.to - state.from) / 10);
  const middle = (state.from + state.to) / 2;
  const [from, to] = state.marked || [middle - length / 2, middle + length / 2];
  const round = (seconds) => Math.round(seconds * 1e4) / 1e4;
  const label = state.label || (state.chosen ? state.chosen.label : "new");
  const event = makeEvent(state.recording, round(from), round(to), label, 1, "added");
  events.push(event);
  state.marked = null;
  keep();
  refresh();
  choose(event);
  byId("name").focus();
  byId("name").select();
  say("Event added; give it a label.");
}

function togglePlay() {
  if (playing.isOn) stop();
  else if (state.chosen) playEvent(state.chosen);
}

const on = (id, kind, act) => byId(id).addEventListener(kind, act);

function listenToForms() {
  on("recording", "change", () => show(Number(byId("recording").value)));
  for (const id of ["label", "verdict", "order"]) {
    on(id, "change", () => {
      state[id] = byId(id).value;
      refresh();
    });
  }
  on("least", "input", () => {
    state.least = Number(byId("least").value) || 0;
    refresh();
  });
  on("position", "input", () => {
    const length = state.to - state.from;
    const from = (recording().seconds - length) * Number(byId("position").value) / 1000;
    setView(from, from + length);
  });
  on("name", "change", () => {
    rename(state.chosen, byId("name").value);
    refresh();
  });
  for (const id of ["start", "end"]) {
    on(id, "change", () => {
      if (!moveEdges(state.chosen, Number(byId("start").value), Number(byId("end").value))) {
        say("An event starts at 0 s or later and ends after its start.");
      }
      refresh();
    });
  }
  on("event", "submit", (event) => event.preventDefault());
  on("event", "keydown", (event) => {
    if (event.key === "Enter" && event.target.closest("input")) list.focus(); // takes the value
  });
  const clicks = {
    earlier: () => pan(-0.5), later: () => pan(0.5), in: () => zoom(0.5), out: () => zoom(2),
    whole: () => setView(0, recording().seconds), play: togglePlay,
    agree: () => judgeAndGoOn("agreed"), disagree: () => judgeAndGoOn("wrong"),
    add: addEvent, csv: saveCsv, audacity: saveAudacity,
  };
  for (const [id, act] of Object.entries(clicks)) on(id, "click", act);
}

function listenToPointer() {
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.offsetX, from: state.from, to: state.to, isMark: event.shiftKey, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag || (!drag.moved && Math.abs(event.offsetX - drag.x) < 5)) return;
    drag.moved = true;
    if (drag.isMark) {
      const ends = [secondsOf(drag.x), secondsOf(event.offsetX)].sort((a, b) => a - b);
      state.marked = ends.map((s) => Math.max(0, Math.min(recording().seconds, s)));
      redraw();
    } else {
      const by = (event.offsetX - drag.x) / (width - gutter) * (drag.to - drag.from);
      setView(drag.from - by, drag.to - by);
    }
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved) {
      state.marked = null;
      const found = eventAt(event.offsetX, event.offsetY);
      if (found) {
        choose(found, { look: false });
        playEvent(found);
      } else if (clipAt(recording(), secondsOf(event.offsetX))) {
        const from = secondsOf(event.offsetX);
        play(state.recording, from, from + 5);
      }
      redraw();
    }
    drag = null;
  });
  canvas.addEventListener("wheel", (event) => {
    const isZoom = event.ctrlKey || event.metaKey;
    if (!isZoom && !event.shiftKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
    event.preventDefault();
    if (isZoom) zoom(Math.exp(event.deltaY / 300), secondsOf(event.offsetX));
    else pan((event.deltaX || event.deltaY) / width);
  }, { passive: false });
  list.addEventListener("scroll", drawRows, { passive: true });
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (!row) return;
    choose(state.shown[Number(row.dataset.number)], { scroll: false });
    playEvent(state.chosen);
  });
}

const KEYS = {
  ArrowUp: () => step(-1), ArrowDown: () => step(1), PageUp: () => step(-10),
  PageDown: () => step(10), Home: () => step(-Infinity), End: () => step(Infinity),
  ArrowLeft: () => pan(-0.25), ArrowRight: () => pan(0.25), "+": () => zoom(0.5),
  "=": () => zoom(0.5), "-": () => zoom(2), 0: () => setView(0, recording().seconds),
  " ": togglePlay, Enter: togglePlay, a: () => judgeAndGoOn("agreed"),
  d: () => judgeAndGoOn("wrong"), n: addEvent, s: saveCsv,
  r: () => {
    if (!state.chosen) return;
    byId("name").focus();
    byId("name").select();
  },
};

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
    if (at.closest("input, select, textarea")) return;
    if (at.closest("button, a, summary") && [" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  addEventListener("beforeunload", (event) => {
    if (state.unsaved) event.preventDefault();
  });
  addEventListener("resize", () => {
    drawRows();
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

const nRestored = restore();
byId("which").hidden = data.recordings.length < 2;
byId("recording").replaceChildren(
  ...data.recordings.map((of, number) => new Option(of.name, String(number))));
const hours = data.recordings.reduce((sum, of) => sum + of.seconds, 0);
byId("facts").textContent = `${data.recordings.length > 1 ? `${data.recordings.length} recordings, ` : ""}` +
  `${hours >= 3600 ? `${(hours / 3600).toFixed(1)} h` : `${hours.toFixed(1)} s`}, ${nFound} event${nFound === 1 ? "" : "s"}`;
listenToForms();
listenToPointer();
listenToKeys();
show(0);
refresh();
if (nRestored) say(`${nRestored} corrections of an earlier visit are back.`);
