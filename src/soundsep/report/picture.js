"use strict";
// The spectrogram with its axes, and lanes of events below, on one canvas.

const canvas = byId("picture");
const pen = canvas.getContext("2d");
const SPECTROGRAM = 220, AXIS = 24, LANE = 30, MAX_LANES = 8; // pixels
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400,
  28800];
const OTHERS = "others";
const pictures = new Map();
let gutter = 44, width = 600, lanes = [], isWaiting = false;

const xOf = (seconds) =>
  gutter + (seconds - state.from) / (state.to - state.from) * (width - gutter);
const secondsOf = (x) => state.from + (x - gutter) / (width - gutter) * (state.to - state.from);

function tile(id) {
  if (!pictures.has(id)) {
    const image = new Image();
    image.onload = redraw;
    image.src = `data:image/png;base64,${byId(id).textContent}`;
    pictures.set(id, image);
  }
  const image = pictures.get(id);
  return image.complete && image.naturalWidth ? image : null;
}

function redraw() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    draw();
  });
}

function setView(from, to) {
  const whole = recording().seconds;
  const least = Math.min(whole, Math.max(0.5, 20 * recording().columnSeconds));
  const length = Math.min(whole, Math.max(least, to - from));
  const middle = (from + to) / 2;
  state.from = Math.max(0, Math.min(whole - length, middle - length / 2));
  state.to = state.from + length;
  viewChanged();
  redraw();
}

function zoom(factor, around = (state.from + state.to) / 2) {
  setView(around - (around - state.from) * factor, around + (state.to - around) * factor);
}

function pan(share) {
  const by = (state.to - state.from) * share;
  setView(state.from + by, state.to + by);
}

function planLanes() {
  const counts = new Map();
  for (const event of state.shown) {
    if (event.recording === state.recording) {
      counts.set(event.label, (counts.get(event.label) || 0) + 1);
    }
  }
  const labels = [...counts].sort((a, b) => b[1] - a[1]).map(([label]) => label);
  lanes = labels.length > MAX_LANES ? [...labels.slice(0, MAX_LANES - 1), null] : labels;
}

const laneOf = (label) => (lanes.includes(label) ? lanes.indexOf(label) : lanes.length - 1);

function draw() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  planLanes();
  const height = SPECTROGRAM + AXIS + Math.max(1, lanes.length) * LANE;
  canvas.style.height = `${height}px`;
  width = canvas.clientWidth;
  gutter = width < 500 ? 34 : 44;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = colour("back");
  pen.fillRect(0, 0, width, height);
  drawTiles();
  drawAxes(colour);
  drawLanes(colour);
  drawMarks(colour, height);
}

function drawTiles() {
  const { columnSeconds, overview, tiles, seconds } = recording();
  const coarse = columnSeconds * overview[1];
  const isCoarse = !tiles.length || (state.to - state.from) / (width - gutter) > coarse;
  const ids = isCoarse ? [overview[0]] : tiles;
  const column = isCoarse ? coarse : columnSeconds;
  pen.save();
  pen.beginPath();
  pen.rect(gutter, 0, width - gutter, SPECTROGRAM);
  pen.clip();
  pen.fillStyle = "#000004";
  pen.fillRect(gutter, 0, width - gutter, SPECTROGRAM);
  ids.forEach((id, number) => {
    const start = number * 2048 * column;
    if (start > state.to || start + 2048 * column < state.from) return;
    const image = tile(id);
    if (!image) return;
    const left = xOf(start), right = xOf(start + image.naturalWidth * column);
    pen.drawImage(image, left, 0, right - left + 0.5, SPECTROGRAM);
  });
  const end = xOf(seconds);
  pen.clearRect(end, 0, Math.max(0, width - end), SPECTROGRAM);
  pen.restore();
}

function drawAxes(colour) {
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = colour("soft");
  pen.strokeStyle = colour("line");
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const [share, name] of recording().ticks) {
    const y = SPECTROGRAM * (1 - share);
    pen.fillText(name, gutter - 7, Math.max(7, y));
    pen.fillRect(gutter - 4, y, 4, 1);
  }
  pen.textAlign = "left";
  pen.fillText("Hz", 2, SPECTROGRAM + AXIS / 2);
  const length = state.to - state.from;
  const step = STEPS.find((s) => s / length * (width - gutter) > 74) || STEPS.at(-1);
  const decimals = step < 1 ? 1 : 0;
  const phase = ((startOf(recording()) || 0) / 1000) % (DAY / 1000);
  pen.textAlign = "center";
  for (let k = Math.ceil((state.from + phase) / step); k * step - phase <= state.to; k += 1) {
    const x = xOf(k * step - phase);
    pen.fillRect(x, SPECTROGRAM, 1, 4);
    if (x > gutter + 20 && x < width - 26) {
      pen.fillText(clock(recording(), k * step - phase, decimals), x, SPECTROGRAM + AXIS / 2 + 2);
    }
  }
}

function drawLanes(colour) {
  const top = SPECTROGRAM + AXIS;
  pen.textAlign = "left";
  if (!lanes.length) {
    pen.fillStyle = colour("soft");
    pen.fillText("no event of the filter in this recording", gutter + 4, top + LANE / 2);
  }
  lanes.forEach((label, number) => {
    pen.fillStyle = colour("tint");
    pen.fillRect(gutter, top + number * LANE, width - gutter, LANE - 3);
    pen.fillStyle = colour("soft");
    pen.fillText(label === null ? OTHERS : label, gutter + 4, top + number * LANE + 6);
  });
  const colours = Array.from({ length: N_COLOURS }, (_, number) => colour(`event-${number}`));
  for (const event of state.shown) {
    if (event.recording !== state.recording) continue;
    if (event.end < state.from || event.start > state.to) continue;
    const x = Math.max(gutter, xOf(event.start));
    const wide = Math.max(2, Math.min(width, xOf(event.end)) - x);
    const y = top + laneOf(event.label) * LANE + 14;
    pen.fillStyle = pen.strokeStyle = colours[colourNumber(event.label)];
    if (event.verdict !== "wrong") {
      pen.globalAlpha = 0.45 + 0.55 * event.score;
      pen.fillRect(x, y, wide, 11);
      pen.globalAlpha = 1;
    }
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, wide - 1), 10); // seen at any score
  }
}

function drawMarks(colour, height) {
  const box = (from, to, stroke) => {
    const x = Math.max(gutter, xOf(from));
    const wide = Math.min(width, xOf(to)) - x;
    if (wide <= 0) return;
    pen.fillStyle = "rgb(255 255 255 / 16%)";
    pen.fillRect(x, 0, wide, SPECTROGRAM);
    pen.strokeStyle = stroke;
    pen.lineWidth = 1.5;
    pen.strokeRect(x + 0.75, 0.75, Math.max(1, wide - 1.5), SPECTROGRAM - 1.5);
    pen.lineWidth = 1;
  };
  const { chosen, marked } = state;
  if (chosen && chosen.recording === state.recording) {
    box(chosen.start, chosen.end, "#ffffff");
    const x = Math.max(gutter, xOf(chosen.start));
    const y = SPECTROGRAM + AXIS + laneOf(chosen.label) * LANE + 13;
    const wide = Math.max(4, Math.min(width, xOf(chosen.end)) - x);
    pen.strokeStyle = colour("front");
    pen.lineWidth = 2;
    if (wide > 4 || x < width) pen.strokeRect(x, y, wide, 13);
    pen.lineWidth = 1;
  }
  if (marked) box(marked[0], marked[1], "#7fdbff");
  if (playing.isOn && playing.recording === state.recording) {
    const x = xOf(playhead());
    pen.fillStyle = "#7cfc9a"; // the spectrogram is dark in both themes
    pen.fillRect(x, 0, 2, SPECTROGRAM);
    pen.fillStyle = colour("front");
    pen.fillRect(x, SPECTROGRAM, 2, height - SPECTROGRAM);
  }
}

function eventAt(x, y) {
  const at = secondsOf(x), slack = (state.to - state.from) / width * 4;
  const lane = Math.floor((y - SPECTROGRAM - AXIS) / LANE);
  return state.shown
    .filter((e) => e.recording === state.recording && e.start - slack <= at && at <= e.end + slack)
    .filter((e) => y < SPECTROGRAM + AXIS || laneOf(e.label) === lane)
    .sort((a, b) => b.score - a.score)[0] || null;
}
