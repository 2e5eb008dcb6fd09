"use strict";
// What is known: the recordings, the events, what is chosen and shown, and what was corrected.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const digest = byId("data").dataset.digest;

function makeEvent(recording, start, end, label, score, verdict) {
  // What the model said is kept, so that a correction can be taken back.
  return { recording, start, end, label, score, verdict, said: { start, end, label, score },
    isAdded: verdict === "added" };
}

const events = data.events.map(([recording, start, end, label, score]) =>
  makeEvent(recording, start, end, data.labels[label], score, ""));
const nFound = events.length;

const state = {
  recording: 0, from: 0, to: 1, // seconds that the picture shows
  label: "", least: 0, verdict: "", order: "time",
  shown: [], chosen: null, marked: null, unsaved: false,
};

const recording = () => data.recordings[state.recording];

function labelsNow() {
  const counts = new Map();
  for (const event of events) counts.set(event.label, (counts.get(event.label) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

const N_COLOURS = 10; // --event-0 and following in the style sheet
const colourNumbers = new Map(labelsNow().map(([label], number) => [label, number]));

function colourNumber(label) {
  if (!colourNumbers.has(label)) colourNumbers.set(label, colourNumbers.size);
  return colourNumbers.get(label) % N_COLOURS;
}

const fits = (event) =>
  (!state.label || event.label === state.label) && event.score >= state.least &&
  (!state.verdict || (state.verdict === "done") === (event.verdict !== ""));

const inTime = (a, b) => a.recording - b.recording || a.start - b.start;
const ORDERS = {
  time: inTime,
  score: (a, b) => b.score - a.score || inTime(a, b),
  label: (a, b) => (a.label < b.label ? -1 : a.label > b.label ? 1 : b.score - a.score),
};

function select() {
  state.shown = events.filter(fits).sort(ORDERS[state.order]);
}

// Corrections outlive the page's window where the browser lets them.
const STORE = `soundsep-report-${digest}`;

function keep() {
  state.unsaved = true;
  const changed = [];
  events.forEach((event, number) => {
    const { recording: of, start, end, label, score, verdict } = event;
    if (verdict) changed.push([number < nFound ? number : -1, of, start, end, label, score, verdict]);
  });
  try {
    localStorage.setItem(STORE, JSON.stringify(changed));
  } catch { /* private windows, full disks: the warning on leaving remains */ }
}

function restore() {
  let changed = [];
  try {
    changed = JSON.parse(localStorage.getItem(STORE) || "[]");
  } catch { /* likewise */ }
  for (const [number, of, start, end, label, score, verdict] of changed) {
    if (number >= 0) Object.assign(events[number], { start, end, label, score, verdict });
    else events.push({ ...makeEvent(of, start, end, label, score, "added"), verdict });
  }
  state.unsaved = changed.length > 0;
  return changed.length;
}

function withoutVerdict(event) {
  // What was corrected stays, in the list and for the next visit, when a verdict is taken back.
  const { start, end, label } = event.said;
  if (event.isAdded) return "added";
  if (event.label !== label) return "renamed";
  return event.start === start && event.end === end ? "" : "agreed";
}

function judge(event, verdict) {
  const isSame = event.verdict === verdict;
  if (event.verdict === "renamed" && verdict === "agreed") {
    event.label = event.said.label;
    event.score = event.said.score;
  }
  event.verdict = event.isAdded && verdict === "agreed" || isSame ? withoutVerdict(event) : verdict;
  keep();
}

function rename(event, label) {
  if (!label.trim() || label === event.label) return;
  event.label = label.trim();
  if (event.isAdded) {
    event.verdict = "added";
  } else {
    const isSaid = event.label === event.said.label;
    event.verdict = isSaid ? "agreed" : "renamed";
    event.score = isSaid ? event.said.score : 1; // a person said so
  }
  keep();
}

function moveEdges(event, start, end) {
  if (!(start >= 0 && end > start)) return false;
  event.start = start;
  event.end = end;
  if (!event.verdict) event.verdict = "agreed";
  keep();
  return true;
}

// Times: of the clock where the recorder told it, else from the beginning.
const DAY = 86400000;
const startOf = (of) => (of.start ? Date.parse(of.start[0]) : null);

function clock(of, seconds, decimals = 0) {
  const unit = 10 ** decimals;
  const ms = (startOf(of) || 0) + Math.round(seconds * unit) / unit * 1000;
  const text = new Date(Math.round(ms)).toISOString().slice(11, decimals ? 20 + decimals : 19);
  if (of.start) return text;
  const hours = Math.floor(ms / 3600000);
  return hours ? hours + text.slice(2) : text.slice(3);
}
