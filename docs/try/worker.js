// The model, away from the thread of the page.

import * as ort from "./ort/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
ort.env.wasm.numThreads = 1;  // several need headers that a plain folder does not send

let session = null;
let turn = Promise.resolve();

async function open() {
  const data = await (await fetch("model.onnx")).arrayBuffer();
  session = await ort.InferenceSession.create(data, { executionProviders: ["wasm"] });
}

async function answer({ id, samples }) {
  try {
    session || (await open());
    if (samples) {
      const waveform = new ort.Tensor("float32", samples, [1, samples.length]);
      const { probabilities } = await session.run({ waveform }, ["probabilities"]);
      postMessage({ id, scores: probabilities.data });
    } else {
      postMessage({ id });
    }
  } catch (error) {
    postMessage({ id, error: String(error.message || error) });
  }
}

onmessage = ({ data }) => { turn = turn.then(() => answer(data)); };
