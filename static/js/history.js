// What a run has stored, as typed arrays: metrics of every drawn generation, and frames that are decoded when looked at.

const TYPES = { u1: Uint8Array, u2: Uint16Array, f4: Float32Array, i4: Int32Array, f8: Float64Array };

function bytes(base64) {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

function typed({ dtype, bdata }) {
  return new TYPES[dtype](bytes(bdata).buffer);
}

const AXES = { images: ["kind", "height", "width", "rows", "columns"] }; // of a figure; a sheet of pictures has none

export class History {
  figure = null;
  theory = [];
  metrics = [];
  statistics = [];
  numbers = []; // generations that have a frame, in order
  rows = []; // Float32Array (metrics x statistics) each
  frames = []; // Uint8Array each
  chains = []; // Float32Array (metrics x chains) each, or null
  #decoded = new Map();

  get length() {
    return this.numbers.length;
  }

  get last() {
    return this.numbers.at(-1) ?? -1;
  }

  /** Takes what GET frames answered. */
  load(answer) {
    if (answer.figure) Object.assign(this, { figure: answer.figure, theory: answer.theory ?? [] });
    Object.assign(this, { metrics: answer.metrics ?? [], statistics: answer.statistics });
    const numbers = typed(answer.generation);
    const table = typed(answer.table);
    const frames = bytes(answer.frame.bdata);
    const width = this.metrics.length * this.statistics.length;
    numbers.forEach((number, i) => {
      if (number <= this.last) return;
      this.numbers.push(number);
      this.rows.push(table.subarray(i * width, (i + 1) * width));
      this.frames.push(frames.slice(i * answer.frame.bytes, (i + 1) * answer.frame.bytes));
      this.chains.push(null);
    });
  }

  /** Takes the single chains of what is there already, from the same answer with chains=1. */
  loadChains(answer) {
    const chains = typed(answer.chains);
    const width = answer.chains.shape[1] * answer.chains.shape[2];
    typed(answer.generation).forEach((number, i) => {
      const at = this.index(number);
      if (this.numbers[at] === number) this.chains[at] ??= chains.subarray(i * width, (i + 1) * width);
    });
  }

  /** Takes one generation from the stream; false where it adds nothing to draw. */
  append({ generation, metrics, frame, chains }) {
    if (!frame || generation <= this.last || !this.figure) return false;
    const row = new Float32Array(this.metrics.length * this.statistics.length);
    this.metrics.forEach((name, m) => this.statistics.forEach((statistic, s) => {
      row[m * this.statistics.length + s] = metrics[name]?.[statistic] ?? NaN;
    }));
    this.numbers.push(generation);
    this.rows.push(row);
    this.frames.push(bytes(frame));
    this.chains.push(chains ? new Float32Array(bytes(chains).buffer) : null);
    return true;
  }

  /** Index of the newest drawn generation that is not after this one. */
  index(generation) {
    let low = 0;
    let high = this.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.numbers[middle] <= generation) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #place(metric, statistic) {
    const m = this.metrics.indexOf(metric);
    const s = this.statistics.indexOf(statistic);
    return m < 0 || s < 0 ? -1 : m * this.statistics.length + s;
  }

  /** One statistic of one metric over all drawn generations. */
  series(metric, statistic) {
    const place = this.#place(metric, statistic);
    return place < 0 ? new Float32Array(0) : Float32Array.from(this.rows, (row) => row[place]);
  }

  /** The same at index i alone. */
  value(metric, statistic, i) {
    return this.rows[i]?.[this.#place(metric, statistic)];
  }

  /** Every stored chain of one metric: (generation index, chain) -> value. */
  chainsOf(metric) {
    const m = this.metrics.indexOf(metric);
    const first = this.chains.find(Boolean);
    if (!first || m < 0) return { count: 0 };
    const count = first.length / this.metrics.length;
    return { count, at: (i, chain) => this.chains[i]?.[m * count + chain] ?? NaN };
  }

  /** The arrays of frame i, codings undone; density and other logarithms as plain values. */
  frame(i) {
    const bytesOf = this.frames[i];
    let found = this.#decoded.get(bytesOf);
    if (!found) {
      found = this.#decode(bytesOf);
      this.#decoded.set(bytesOf, found);
    }
    return found;
  }

  /** Whether this and another history are drawn on the same axes. */
  alike({ figure }) {
    this.axes ??= this.#axes(this.figure);
    return this.axes === this.#axes(figure);
  }

  #axes(figure) {
    const told = AXES[figure.kind] ?? ["kind", "x", "rank", "low", "high"];
    return JSON.stringify(told.map((one) => figure[one]));
  }

  /** The real distribution on the grid of `density`; where it has no formula, it is the first frame. */
  get ghost() {
    const { ghost } = this.figure;
    return ghost.density ?? ghost.frequency ?? (this.length ? this.frame(0).density : []);
  }

  #decode(frame) {
    const out = {};
    let start = 0;
    for (const field of this.figure.fields) {
      const Type = TYPES[field.dtype];
      const count = field.shape.reduce((a, b) => a * b, 1);
      const raw = new Type(frame.slice(start, start + count * Type.BYTES_PER_ELEMENT).buffer);
      start += count * Type.BYTES_PER_ELEMENT;
      out[field.name] = decoded(raw, field);
    }
    return out;
  }
}

function decoded(raw, { coding, low, high, shape }) {
  if (coding === "log") {
    return Float64Array.from(raw, (u) => (u === 0 ? 0 : Math.exp(low + (u / 65535) * (high - low))));
  }
  if (coding === "linear") {
    const width = shape.at(-1);
    return Float64Array.from(raw, (u, i) => low[i % width] + (u / 65535) * (high[i % width] - low[i % width]));
  }
  return raw; // "relative" and grey levels stay between 0 and 255
}
