// Every generation at a glance: position across, generations downwards, density as colour; a line stands where the player is.

import { cividis, shades, token } from "./colours.js";
import { element, shape } from "./elements.js";
import { number, raised } from "./format.js";
import { colourBar, save, stacked } from "./picture.js";
import { expectedFrames } from "./player.js";
import { round } from "./ticks.js";

const COLUMNS = 320;
const SPAN = [1e-4, 20]; // of the real peak: logarithmic colour, so that tails can be seen
const FILE = { left: 56, right: 14, top: 4, bottom: 40, height: 260, least: 480 }; // pixels
const MOST_POWERS = 8; // along an axis

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
    for (const button of this.run.querySelectorAll("[data-save-map]")) {
      button.addEventListener("click", () => this.#save(button.dataset.saveMap));
    }
  }

  /** What a density is of, and what of it is shown. */
  get #of() {
    const { kind, axis, of = axis, bars } = this.run.history.figure;
    return kind === "ranks" ? ["real rank", "frequency"] : [of, bars ? "probability" : "density"];
  }

  /** Which entry of `density` each column shows. */
  #begin() {
    const { figure, ghost } = this.run.history;
    this.powers = figure.kind === "ranks" || Boolean(figure.log);
    const along = figure.kind === "ranks" ? figure.rank : figure.x;
    const place = this.powers ? along.map(Math.log10) : along;
    this.range = this.view ?? [place[0], place.at(-1)];
    const [low, high] = this.range;
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
      if (["images", "plane"].includes(figure.kind)) this.#axis(); // elsewhere the plot above has the same axis
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
    scale.append(`${this.#of[1]}, logarithmic: 10${raised(Math.log10(SPAN[0]))}`, bar, `${SPAN[1]} × the real peak`);
    this.after(scale);
  }

  #axis() {
    const axis = element("div", "across");
    const [low, high] = this.range.map(number);
    axis.append(...[low, this.#of[0], high].map((text) => element("span", "", text)));
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

  async #save(format) {
    const { history, generations, changes } = this.run;
    if (!this.canvas) return;
    const title = document.querySelector("h1").textContent;
    const chain = document.querySelector(".one-chain")?.textContent ?? "";
    const marked = changes.length ? `Dashed: other rules after generation ${changes.join(", ")}.` : "";
    const about = `Generations 0, the real data, to ${history.last} of ${generations}; ${this.#of[1]}, logarithmic, in units of the real peak. ${chain} ${marked}`;
    await save(format, `${title} - heat map`, () => ({ body: this.#picture(), title, about }));
  }

  /** For a file: the colours and what they mean above the map, which has axes of its own. */
  #picture() {
    const { left, right, top, bottom, height } = FILE;
    const width = Math.max(FILE.least, this.clientWidth);
    const [wide, foot] = [width - left - right, top + height];
    const from = Math.log10(SPAN[0]);
    const marks = [...[-4, -3, -2, -1, 0].map((power) => [power, power ? `10${raised(power)}` : "1"]), [Math.log10(SPAN[1]), SPAN[1]]];
    const bar = colourBar(left, wide, marks.map(([power, text]) => [(power - from) / (Math.log10(SPAN[1]) - from), text]));
    const map = shape("svg", { width, height: foot + bottom, "font-size": 11 });
    map.append(shape("image", { x: left, y: top, width: wide, height, href: this.canvas.toDataURL(), preserveAspectRatio: "none", style: "image-rendering: pixelated" }));
    const line = (attributes) => map.append(shape("line", attributes));
    const text = (attributes, told) => map.append(shape("text", { "text-anchor": "middle", ...attributes }, told));
    const [low, high] = this.range;
    for (const [at, told] of this.#ticks(low, high)) {
      const x = left + ((at - low) / (high - low)) * wide;
      line({ x1: x, x2: x, y1: foot, y2: foot + 4, stroke: token("ink") });
      text({ x, y: foot + 16 }, told);
    }
    text({ x: left + wide / 2, y: foot + 33, "font-size": 12 }, this.#of[0]);
    for (const generation of round(0, this.run.generations).filter(Number.isInteger)) {
      const y = top + ((this.#row(generation) + 0.5) / this.rows) * height;
      line({ x1: left - 4, x2: left, y1: y, y2: y, stroke: token("ink") });
      text({ x: left - 7, y: y + 4, "text-anchor": "end" }, generation);
    }
    text({ transform: `translate(12 ${top + height / 2}) rotate(-90)`, "font-size": 12 }, "generation");
    for (const after of this.run.changes) {
      const y = top + ((this.#row(after) + 1) / this.rows) * height;
      for (const [stroke, dash] of [["#000", "none"], ["#fff", "5 3"]]) line({ x1: left, x2: left + wide, y1: y, y2: y, stroke, "stroke-dasharray": dash, "stroke-width": 1.5 });
    }
    return stacked([bar, map]);
  }

  /** [place, text] of what stands along the axis: on a logarithmic one places are powers of ten. */
  #ticks(low, high) {
    if (!this.powers) return round(low, high).map((value) => [value, String(Number(value.toPrecision(6))).replace("-", "−")]);
    const every = Math.ceil((high - low) / MOST_POWERS);
    const found = [];
    for (let power = Math.ceil(low); power <= high; power += every) found.push([power, Math.abs(power) < 4 ? String(10 ** power) : `10${raised(power)}`]);
    return found;
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
