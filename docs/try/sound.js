// From a file to windows at the model's rate, with the numbers of soundsep.audio.

const N_ZEROS = 24, BETA = 7.0, CUTOFF = 0.94;  // soundsep/audio/polyphase.py
const SILENCE = 2 ** -23;  // soundsep/audio/silence.py
const MIN_SEGMENT = 4096, MIN_OFFSET = 1e-3, MIN_OFFSET_RATIO = 2.0;  // soundsep/audio/resampling.py

// The rate that a file states, so that it is decoded at that and resampled here; 48 kHz for others.
export function rateOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at, n) => String.fromCharCode(...bytes.subarray(at, at + n));
  if (bytes.length < 48) return 48000;
  if (text(0, 4) === "RIFF" && text(8, 4) === "WAVE") {
    for (let at = 12; at + 16 < bytes.length; ) {
      if (text(at, 4) === "fmt ") return view.getUint32(at + 12, true);
      const size = view.getUint32(at + 4, true);
      at += 8 + size + (size % 2);
    }
  }
  if (text(0, 4) === "fLaC") return (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
  if (text(0, 4) === "OggS" && text(29, 6) === "vorbis") return view.getUint32(40, true);
  return 48000;
}

// The mean of the channels of a file, at the rate wanted.
export async function decode(data, rate) {
  const told = rateOf(new Uint8Array(data));
  const own = told >= 8000 && told <= 96000 ? told : 48000;
  const buffer = await new OfflineAudioContext(1, 1, own).decodeAudioData(data);
  const mixed = new Float32Array(buffer.length);
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    const channel = buffer.getChannelData(c);
    for (let i = 0; i < mixed.length; i++) mixed[i] += channel[i] / buffer.numberOfChannels;
  }
  return resample(mixed, own, rate);
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; k < 60; k++) sum += (term *= (x / (2 * k)) ** 2);
  return sum;
}

function lowPass(factor) {
  const n = N_ZEROS * factor, taps = new Float64Array(2 * n + 1);
  let sum = 0;
  for (let i = 0; i <= 2 * n; i++) {
    const x = Math.PI * (i - n) * CUTOFF / factor;
    const window = bessel(BETA * Math.sqrt(Math.max(0, 1 - ((i - n) / n) ** 2))) / bessel(BETA);
    sum += taps[i] = (x ? Math.sin(x) / x : 1) * window;
  }
  return taps.map((tap) => tap / sum);
}

// The first sample where a constant is more than the sound at the beginning, or all that there is.
function offsetBeyond(samples) {
  const start = samples.subarray(0, MIN_SEGMENT);
  const mean = start.reduce((sum, sample) => sum + sample, 0) / start.length;
  const spread = Math.sqrt(start.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / start.length);
  const least = isSilent(start) ? SILENCE : MIN_OFFSET;
  return Math.abs(mean) > Math.max(least, MIN_OFFSET_RATIO * spread) ? samples[0] : 0;
}

// There is silence beyond the ends; an offset goes on there, so that it makes no clicks.
export function resample(samples, from, to) {
  if (from === to) return samples;
  const common = divisor(from, to), up = to / common, down = from / common;
  const factor = Math.max(up, down), half = N_ZEROS * factor;
  const taps = lowPass(factor).map((tap) => tap * up);
  const out = new Float32Array(Math.ceil(samples.length * up / down));
  const offset = offsetBeyond(samples), n = samples.length;
  const beyond = offset ? samples[n - 1] - offset : 0;
  for (let q = 0; q < out.length; q++) {
    const at = q * down;
    const first = Math.max(0, Math.ceil((at - half) / up)), last = Math.floor((at + half) / up);
    let sum = 0;
    for (let i = first; i <= last; i++) sum += taps[at + half - i * up] * (i < n ? samples[i] - offset : beyond);
    out[q] = sum + offset;
  }
  return out;
}

// Start and samples of every window; the last ends with the recording, and a short one is repeated.
export function windows(samples, { windowSamples, hopSamples, padding }) {
  const n = samples.length;
  if (n < windowSamples) return [[0, padded(samples, windowSamples, padding)]];
  const found = [];
  for (let start = 0; start < n - windowSamples; start += hopSamples) found.push(start);
  found.push(n - windowSamples);
  return found.map((start) => [start, samples.slice(start, start + windowSamples)]);
}

// The constant that the model removes: the mean, if it is a tenth of the deviation or more.
function offsetOf(samples) {
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  const variance = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / samples.length;
  return mean ** 2 >= 0.01 * variance ? mean : 0;
}

function padded(samples, length, padding) {
  const n = samples.length, period = Math.max(1, 2 * n - 2);
  const out = new Float32Array(length).fill(padding === "reflect" ? 0 : offsetOf(samples));
  for (let i = 0; i < length; i++) {
    const at = i % period;
    if (i < n || padding === "reflect") out[i] = samples[at < n ? at : period - at];
  }
  return out;
}

// A soft clip at the model's level, without its offset; null for one that is not raised. The level is
// that of the loudest tenth of a second after pre-emphasis: soundsep/audio/level.py.
export function raised(samples, { clipLevelDb, sampleRate }) {
  if (clipLevelDb == null || samples.length < 2) return null;
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  const n = samples.length - 1, half = Math.round(0.05 * sampleRate), sums = [];
  for (let i = 0; i < n; i++) {
    if (i % half === 0) sums.push(0);
    sums[sums.length - 1] += (samples[i + 1] - 0.97 * samples[i] - 0.03 * mean) ** 2;
  }
  let most = 0;
  if (n <= 2 * half) most = sums.reduce((sum, part) => sum + part, 0) / n;
  else for (let i = 1; i < sums.length; i++) most = Math.max(most, (sums[i - 1] + sums[i]) / (2 * half));
  const missing = most > 0 ? Math.min(clipLevelDb - 10 * Math.log10(most), 80) : 0;
  if (missing <= 0) return null;
  const gain = 10 ** (missing / 20);
  return samples.map((sample) => gain * (sample - mean));
}

// One constant value, within a step of 24-bit audio to either side: soundsep/audio/silence.py.
export function isSilent(samples) {
  let lowest = samples[0], highest = samples[0];
  for (const sample of samples) {
    if (sample < lowest) lowest = sample;
    else if (sample > highest) highest = sample;
  }
  return highest - lowest <= 2 * SILENCE;
}
