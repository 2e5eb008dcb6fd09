"use strict";
// The corrected list as files, in the form of `soundsep events`.

const COLUMNS = "path,start_seconds,end_seconds,label,score,start_time";

function quoted(cell) {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function startTime(event) {
  const of = data.recordings[event.recording];
  if (!of.start) return "";
  const [, rest, zone] = of.start;
  const ms = Math.floor(startOf(of) + rest + Math.round(event.start * 1e6) / 1000 + 1e-4);
  return new Date(ms).toISOString().slice(0, 23) + zone;
}

function kept() {
  const onlyChecked = byId("checked").checked;
  return events.filter((event) => event.verdict !== "wrong" && (event.verdict || !onlyChecked))
    .sort(inTime);
}

function csvText() {
  const lines = kept().map((event) => [
    quoted(data.recordings[event.recording].path), event.start.toFixed(4), event.end.toFixed(4),
    quoted(event.label), event.score.toFixed(4), startTime(event),
  ].join(","));
  return [COLUMNS, ...lines].join("\n") + "\n";
}

function audacityText() {
  return kept().filter((event) => event.recording === state.recording)
    .map(({ start, end, label }) =>
      `${start.toFixed(4)}\t${end.toFixed(4)}\t${label.replace(/[\t\r\n]/g, " ")}\n`)
    .join("");
}

// A name can be any bytes: those that are no text are halves of characters here, U+DC80 to U+DCFF.
function bytesOf(text) {
  const encoder = new TextEncoder();
  return text.split(/([\udc80-\udcff])/u).map((part) =>
    (/^[\udc80-\udcff]$/u.test(part)
      ? Uint8Array.of(part.charCodeAt(0) - 0xdc00) : encoder.encode(part)));
}

function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(bytesOf(text), { type: "application/octet-stream" }));
  link.download = name.replace(/[\\/:*?"<>|\x00-\x1f]/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const stem = (name) => name.replace(/\.[^.]*$/, "");

function saveCsv() {
  save(csvText(), `${stem(data.title)}.corrected.csv`);
  state.unsaved = false;
  say(`${kept().length} events saved as CSV.`);
}

function saveAudacity() {
  save(audacityText(), `${stem(recording().name)}.txt`);
  say("Labels for Audacity saved.");
}

function say(text) {
  byId("status").textContent = text;
}
