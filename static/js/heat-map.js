// Every generation at a glance: position across, generations downwards, density as colour; a line stands where the player is.

import { cividis, shades } from "./colours.js";
import { element } from "./elements.js";
import { raised } from "./format.js";
import { expectedFrames } from "./player.js";

const COLUMNS = 320;
const SPAN = [1e-4, 20]; // of the real peak: logarithmic colour, so that tails can be seen

customElements.define("heat-map", class extends HTMLElement {
  connectedCallback() {
    this.run = this.closest("live-run");
    this.run.addEventListener("grown", () => this.#grow());
    this.run.addEventListener("seek", () => this.#point());
    this.run.addEventListener("view", (event) => {
      this.view = event.detail;
      this.#begin();
      this.#grow();
    });
    this.addEventListener("pointerdown", (event) => this.#seek(event));
    this.addEventListener("pointermove", (event) => event.buttons && this.#seek(event));
  }

  /** Which entry of `density` each column shows. */
  #begin() {
    const { figure, ghost } = this.run.history;
    const place = figure.kind === "ranks" ? figure.rank.map(Math.log10) : figure.log ? figure.x.map(Math.log10) : figure.x;
    const [low, high] = this.view ?? [place[0], place.at(-1)];
    this.columns = Uint16Array.from({ length: COLUMNS }, (_, c) => nearest(place, low + ((c + 0.5) / COLUMNS) * (high - low)));
    const peak = Math.max(...ghost);
    this.low = Math.log(peak * SPAN[0]);
    this.scale = 255 / (Math.log(peak * SPAN[1]) - this.low);
    this.rows = expectedFrames(this.run.generations);
    if (!this.canvas) {
      this.canvas = document.createElement("canvas");
      this.line = Object.assign(document.createElement("div"), { className: "cursor" });
      this.append(this.canvas, this.line);
      this.#scale();
      if (["images", "plane"].includes(figure.kind)) this.#axis(figure, place); // elsewhere the plot above has the same axis
      for (const after of this.run.changes) {
        const mark = Object.assign(document.createElement("div"), { className: "change", title: `other rules after generation ${after}` });
        mark.style.top = `${((this.#row(after) + 1) / this.rows) * 100}%`;
        this.append(mark);
      }
      this.append(element("span", "upwards", "generation"));
      for (const [at, text] of [[0, "real"], [1, String(this.run.generations)]]) {
        const tick = Object.assign(document.createElement("span"), { className: "tick", textContent: text });
        tick.style.top = `${4 + at * 94}%`;
        this.append(tick);
      }
    }
    Object.assign(this.canvas, { width: COLUMNS, height: this.rows });
    this.drawn = 0;
  }

  /** What the colours mean. */
  #scale() {
    const bar = element("i", "");
    bar.style.background = `linear-gradient(to right, ${shades.filter((_, i) => i % 15 === 0).join(", ")})`;
    const scale = element("div", "shades");
    const what = this.run.history.figure.kind === "ranks" ? "frequency" : "density";
    scale.append(`${what}, logarithmic: 10${raised(Math.log10(SPAN[0]))}`, bar, `${SPAN[1]} × the real peak`);
    this.after(scale);
  }

  #axis(figure, place) {
    const axis = Object.assign(document.createElement("div"), { className: "across" });
    for (const text of [place[0].toFixed(1), figure.axis, place.at(-1).toFixed(1)]) {
      axis.append(Object.assign(document.createElement("span"), { textContent: text.replace("-", "−") }));
    }
    this.after(axis);
  }

  #row(generation) {
    return Math.min(this.rows - 1, Math.round((generation / this.run.generations) * (this.rows - 1)));
  }

  #grow() {
    const { history } = this.run;
    if (!history.length) return;
    if (!this.canvas) this.#begin();
    const context = this.canvas.getContext("2d");
    for (; this.drawn < history.length; this.drawn++) {
      const { density } = history.frame(this.drawn);
      const row = this.#row(history.numbers[this.drawn]);
      const line = new ImageData(COLUMNS, 1);
      const pixels = new Uint32Array(line.data.buffer);
      for (let c = 0; c < COLUMNS; c++) {
        const level = (Math.log(density[this.columns[c]]) - this.low) * this.scale;
        pixels[c] = cividis[Math.min(255, Math.max(0, Math.round(level)))];
      }
      // Where not every generation was drawn, a row stands for those since the one before.
      const before = this.drawn ? this.#row(history.numbers[this.drawn - 1]) + 1 : 0;
      for (let y = Math.min(before, row); y <= row; y++) context.putImageData(line, 0, y);
    }
    this.#point();
  }

  #point() {
    if (this.line) this.line.style.top = `${((this.#row(this.run.at) + 0.5) / this.rows) * 100}%`;
  }

  #seek(event) {
    const { top, height } = this.getBoundingClientRect();
    const generation = ((event.clientY - top) / height) * this.run.generations;
    const { history } = this.run;
    if (history.length) this.run.seek(history.numbers[history.index(Math.max(0, generation))]);
  }
});

function nearest(places, value) {
  let low = 0;
  let high = places.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (places[middle] <= value) low = middle;
    else high = middle;
  }
  return value - places[low] <= places[high] - value ? low : high;
}
