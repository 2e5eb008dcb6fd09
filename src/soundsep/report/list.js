"use strict";
// The list of events, of which only the rows in sight exist, and the chosen one.

const list = byId("list");
const rows = byId("rows");
const ROW = 36; // pixels, as in the style
const MARKS = { agreed: "\u2713", wrong: "\u2717", renamed: "\u270e", added: "+" };
const SAID = { agreed: "agreed", wrong: "disagreed", renamed: "renamed", added: "added",
  "": "unchecked" };

function makeRow(event, number) {
  const of = data.recordings[event.recording];
  const row = document.createElement("div");
  row.className = `row ${event.verdict}`;
  row.id = `row${number}`;
  row.dataset.number = number;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(event === state.chosen));
  row.setAttribute("aria-posinset", String(number + 1));
  row.setAttribute("aria-setsize", String(state.shown.length));
  row.setAttribute("aria-label", `${clock(of, event.start)}, ${event.label}, score ` +
    `${event.score.toFixed(2)}, ${SAID[event.verdict]}` +
    (data.recordings.length > 1 ? `, ${of.name}` : ""));
  row.style.top = `${number * ROW}px`;
  const cell = (name, text) => {
    const span = document.createElement("span");
    span.className = name;
    span.textContent = text;
    row.append(span);
    return span;
  };
  cell("mark", MARKS[event.verdict] || "");
  cell("time", clock(of, event.start, 1));
  const label = cell("label", "");
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.style.background = `var(--event-${colourNumber(event.label)})`;
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = event.label;
  label.append(dot, name);
  cell("of", data.recordings.length > 1 ? of.name : "");
  cell("score", event.score.toFixed(2));
  return row;
}

function drawRows() {
  rows.style.height = `${state.shown.length * ROW}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(state.shown.length,
    Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
  rows.replaceChildren(...state.shown.slice(first, last)
    .map((event, number) => makeRow(event, first + number)));
  const at = state.shown.indexOf(state.chosen);
  if (at >= first && at < last) list.setAttribute("aria-activedescendant", `row${at}`);
  else list.removeAttribute("aria-activedescendant");
}

function drawChosen() {
  const event = state.chosen;
  byId("event").hidden = !event;
  if (!event) {
    byId("about").textContent = "None yet: choose one in the list or the picture.";
    return;
  }
  const of = data.recordings[event.recording];
  const said = event.verdict === "renamed" ? `, was ${event.said.label}` : "";
  byId("about").textContent = `${event.label} at ${clock(of, event.start, 1)}, score ` +
    `${event.score.toFixed(2)}, ${SAID[event.verdict]}${said}`;
  byId("agree").setAttribute("aria-pressed",
    String(["agreed", "renamed", "added"].includes(event.verdict)));
  byId("disagree").setAttribute("aria-pressed", String(event.verdict === "wrong"));
  byId("name").value = event.label;
  byId("start").value = event.start;
  byId("end").value = event.end;
  const link = byId("link");
  link.href = `${of.link}#t=${event.start.toFixed(2)},${event.end.toFixed(2)}`;
  link.textContent = `Open ${of.name} here`;
}

function choose(event, { scroll = true, look = true } = {}) {
  state.chosen = event;
  if (event && event.recording !== state.recording) show(event.recording);
  if (event && look) {
    const length = state.to - state.from;
    if (event.start < state.from || event.end > state.to) {
      const middle = (event.start + event.end) / 2;
      setView(middle - length / 2, middle + length / 2);
    }
  }
  const at = state.shown.indexOf(event);
  if (scroll && at >= 0) {
    const top = at * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    const below = top + ROW - list.clientHeight;
    if (below > list.scrollTop) list.scrollTop = below;
  }
  drawRows();
  drawChosen();
  redraw();
}

function step(by) {
  if (!state.shown.length) return;
  const at = state.shown.indexOf(state.chosen);
  const next = Math.max(0, Math.min(state.shown.length - 1, at + by));
  choose(state.shown[next]);
}
