// Hands the samples of a microphone on to the page, in order.

class Microphone extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) {
      const mixed = new Float32Array(input[0].length);
      for (const channel of input) channel.forEach((x, i) => { mixed[i] += x / input.length; });
      this.port.postMessage(mixed, [mixed.buffer]);
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
