// The page: files and the microphone in, bars and events out.

import { decode, isSilent, raised, windows } from "./sound.js";
import { Picture } from "./picture.js";

const byId = (id) => document.getElementById(id);
const N_BARS = 5, COLUMN_SECONDS = 0.05;

const model = await (await fetch("model.json")).json();
const picture = new Picture(byId("picture"), model.sampleRate);
const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
let n_asked = 0, run = 0;  // what an earlier run still answers is not shown

worker.onmessage = ({ data: { id, scores, error } }) => {
  const [resolve, reject] = waiting.get(id);
  waiting.delete(id);
  if (error) reject(new Error(error)); else resolve(scores);
};
worker.onerror = (event) => say(`The model cannot be loaded: ${event.message || "see the console"}`);

function ask(samples) {
  return new Promise((resolve, reject) => {
    waiting.set(++n_asked, [resolve, reject]);
    worker.postMessage({ id: n_asked, samples });
  });
}

function say(text) { byId("status").textContent = text; }

function cell(text) {
  const td = document.createElement("td");
  td.textContent = text;
  return td;
}

function showBars(scores) {
  const best = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, N_BARS);
  byId("bars").replaceChildren(...best.map((i) => {
    const item = document.createElement("li"), name = document.createElement("span");
    const bar = document.createElement("meter"), number = document.createElement("span");
    name.className = "name";
    name.textContent = model.labels[i];
    Object.assign(bar, { min: 0, max: 1, value: scores[i] });
    bar.setAttribute("aria-label", model.labels[i]);
    number.textContent = scores[i].toFixed(3);
    item.append(name, bar, number);
    return item;
  }));
}

// Windows of a label that touch or overlap are one event.
class Events {
  constructor() { this.last = new Map(); byId("events").replaceChildren(); }

  add(start, end, scores) {
    scores.forEach((score, i) => {
      if (score < Math.fround(model.thresholds[i])) return;  // scores are of float32
      let event = this.last.get(i);
      if (!event || start > event.end) {
        event = { start, score: 0, row: byId("events").insertRow() };
        this.last.set(i, event);
      }
      event.end = end;
      event.score = Math.max(event.score, score);
      event.row.replaceChildren(
        cell(event.start.toFixed(2)), cell(event.end.toFixed(2)), cell(model.labels[i]),
        cell(event.score.toFixed(3)),
      );
    });
  }
}

async function hear(file) {
  const own = ++run;
  try {
    await stop();
    say(`Reading ${file.name} ...`);
    const samples = await decode(await file.arrayBuffer(), model.sampleRate);
    const seconds = samples.length / model.sampleRate;
    if (samples.length < model.minSamples) throw new Error("it is too short");
    picture.draw(samples);
    const events = new Events(), cut = windows(samples, model);
    const louder = raised(samples, model), named = louder ? windows(louder, model) : cut;
    const heard = [...cut.keys()].filter((i) => !isSilent(cut[i][1]));
    if (!heard.length) throw new Error("it is silence");
    const pooled = new Float64Array(model.labels.length);
    for (const [n, i] of heard.entries()) {
      const [start, window] = cut[i], scores = await ask(window);
      if (own !== run) return;
      const end = Math.min(seconds, (start + model.windowSamples) / model.sampleRate);
      events.add(start / model.sampleRate, end, scores);
      // A soft clip is named as if it were louder; its events are heard as they are.
      const clipScores = louder ? await ask(named[i][1]) : scores;
      if (own !== run) return;
      clipScores.forEach((score, k) => {
        pooled[k] = model.activation === "sigmoid" ? Math.max(pooled[k], score) : pooled[k] + score;
      });
      say(`${file.name}: window ${n + 1} of ${heard.length}`);
    }
    const mean = model.activation === "sigmoid" ? pooled : pooled.map((sum) => sum / heard.length);
    showBars(mean);
    say(`${file.name}: ${seconds.toFixed(1)} s heard.`);
  } catch (error) {
    if (own === run) say(`${file.name} cannot be heard: ${error.message || error}`);
  }
}

let microphone = null;

function release(stream) { stream.getTracks().forEach((track) => track.stop()); }

async function listen() {
  const own = ++run;
  let stream = null;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    if (own !== run) return release(stream);  // a file, or a second click, came before the permission
    const context = new AudioContext({ sampleRate: model.sampleRate });
    microphone = { stream, context };
    await context.audioWorklet.addModule("microphone.js");
    if (own !== run) return;
    const node = new AudioWorkletNode(context, "microphone");
    context.createMediaStreamSource(stream).connect(node);
    picture.clear();
    const events = new Events(), latest = new Float32Array(model.windowSamples);
    const column = Math.round(COLUMN_SECONDS * model.sampleRate);
    let n = 0, next = model.windowSamples, drawn = 0, busy = false;
    node.port.onmessage = ({ data }) => {
      if (own !== run) return;
      latest.copyWithin(0, data.length);
      latest.set(data, latest.length - data.length);
      n += data.length;
      if (n - drawn >= column) {
        picture.column(latest.slice(-(n - drawn)));
        drawn = n;
      }
      if (n < next || busy) return;
      next = n + model.hopSamples;
      busy = true;
      const end = n / model.sampleRate, start = end - model.windowSamples / model.sampleRate;
      const window = latest.slice();
      (isSilent(window) ? Promise.resolve(new Float32Array(model.labels.length)) : ask(window))
        .then((scores) => {
          busy = false;
          if (own !== run) return;
          showBars(scores);
          events.add(start, end, scores);
          say(`Listening: ${end.toFixed(0)} s`);
        })
        .catch((error) => { busy = false; say(String(error.message || error)); });
    };
    byId("listen").textContent = "Stop listening";
    say("Listening ...");
  } catch (error) {
    if (stream) release(stream);
    if (own !== run) return;
    await stop();
    say(`The microphone cannot be heard: ${error.message || error}`);
  }
}

async function stop() {
  if (!microphone) return;
  const { stream, context } = microphone;
  microphone = null;
  byId("listen").textContent = "Listen to the microphone";
  release(stream);
  await context.close();
}

byId("file").onchange = ({ target }) => { if (target.files.length) hear(target.files[0]); target.value = ""; };
byId("listen").onclick = async () => {
  if (!microphone) return listen();
  run++;
  await stop();
  say("Stopped.");
};
const drop = byId("drop");
drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
drop.ondragleave = () => drop.classList.remove("over");
drop.ondrop = (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length) hear(event.dataTransfer.files[0]);
};

byId("about").textContent =
  `${model.name}: ${model.labels.length} labels. ${model.terms} Runs by ONNX Runtime ${model.runtime} (MIT).`;
ask(null).then(() => {
  byId("file").disabled = byId("listen").disabled = false;
  say("Ready.");
}, (error) => say(`The model cannot be loaded: ${error.message}`));
