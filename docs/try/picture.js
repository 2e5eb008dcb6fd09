// A spectrogram that rolls to the left.

const N = 512, MAX_HZ = 8000, FLOOR_DB = -90;
const HOP = N / 2;  // a click between two windows that do not overlap would not be seen
const cosines = Float32Array.from({ length: N }, (_, i) => Math.cos(2 * Math.PI * i / N));
const sines = Float32Array.from({ length: N }, (_, i) => Math.sin(2 * Math.PI * i / N));
const window_ = cosines.map((cosine) => 0.5 - 0.5 * cosine);

// Power of each of the lower half of the bins, in dB.
function spectrum(samples) {
  const re = new Float32Array(N), im = new Float32Array(N);
  for (let i = 0, j = 0; i < N; i++) {
    re[j] = (samples[i] || 0) * window_[i];
    let bit = N >> 1;
    while (j & bit) { j ^= bit; bit >>= 1; }
    j |= bit;
  }
  for (let size = 2; size <= N; size *= 2) {
    for (let start = 0; start < N; start += size) {
      for (let k = 0; k < size / 2; k++) {
        const cosine = cosines[k * N / size], sine = sines[k * N / size];
        const a = start + k, b = a + size / 2;
        const x = re[b] * cosine + im[b] * sine, y = im[b] * cosine - re[b] * sine;
        re[b] = re[a] - x; im[b] = im[a] - y; re[a] += x; im[a] += y;
      }
    }
  }
  return Float32Array.from({ length: N / 2 }, (_, i) =>
    10 * Math.log10((re[i] ** 2 + im[i] ** 2) / (N / 4) ** 2 + 1e-12));
}

export class Picture {
  constructor(canvas, rate) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.rate = rate;
    this.clear();
  }

  clear() {
    this.before = new Float32Array(N);  // what came before the next column
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  // One column for all of these samples: their loudest moments.
  column(samples) {
    const { pen, canvas: { width, height } } = this;
    const levels = new Float32Array(N / 2).fill(-Infinity), n = samples.length;
    const heard = new Float32Array(N + n);
    heard.set(this.before);
    heard.set(samples, N);
    this.before = heard.slice(n);
    for (let at = Math.min(HOP, n); at <= n; at += HOP) {
      spectrum(heard.subarray(at, at + N)).forEach((level, i) => {
        levels[i] = Math.max(levels[i], level);
      });
    }
    pen.drawImage(pen.canvas, -1, 0);
    for (let y = 0; y < height; y++) {
      const hz = (1 - y / height) * Math.min(MAX_HZ, this.rate / 2);
      const level = levels[Math.min(N / 2 - 1, Math.round(hz * N / this.rate))];
      const share = Math.min(1, Math.max(0, 1 - level / FLOOR_DB));
      pen.fillStyle = `hsl(${260 - 210 * share} 90% ${Math.round(70 * share)}%)`;
      pen.fillRect(width - 1, y, 1, 1);
    }
  }

  // A whole recording over the whole width.
  draw(samples) {
    this.clear();
    const step = samples.length / this.canvas.width;
    for (let x = 0; x < this.canvas.width; x++) {
      this.column(samples.subarray(Math.floor(x * step), Math.floor((x + 1) * step)));
    }
  }
}
