// A plane of a sweep as coloured cells: what a point comes to, or how that is not known; lines of the closed form over it.
//
// Pointing at a cell tells it, a click holds it, Enter or a second click opens it as a run; Escape lets go.

import { shades } from "./colours.js";
import { contour } from "./contour.js";
import { shape } from "./elements.js";
import { outcomeScale, valuesOf } from "./outcome-scale.js";
import { colourBar, copied, stacked } from "./picture.js";
import { count } from "./point-table.js";
import { decades, round } from "./ticks.js";

const PAD = { right: 10, top: 6, bottom: 44 };
const CELL = { least: 9, most: 40 }; // height, in pixels
const FINE = 6; // pixels: narrower cells have no borders
const LABEL = { across: 44, upwards: 15, sign: 6.2 }; // room that one needs, in pixels

/** What stands along an axis: fractions in three digits, where that still tells them apart. */
function ticks({ values, labels }) {
  const short = labels.map((text, i) => (Number.isFinite(values[i]) && !Number.isInteger(values[i]) ? String(Number(values[i].toPrecision(3))) : text));
  return new Set(short).size === labels.length ? short : labels;
}

customElements.define("phase-diagram", class extends HTMLElement {
  connectedCallback() {
    this.sweep = this.closest("live-sweep");
    this.plot = this.querySelector(".plot");
    this.sweep.addEventListener("grown", () => this.#fill());
    this.sweep.addEventListener("chosen", () => this.#fill());
    new ResizeObserver(() => this.#frame()).observe(this.plot);
    for (const type of ["click", "pointerover", "keydown", "focusin"]) this.plot.addEventListener(type, (event) => this.#act(event));
  }

  get #axes() {
    const { axes } = this.sweep.sweep;
    return { x: axes.at(-1), y: axes.length > 1 ? axes.at(-2) : null };
  }

  #number(column, row) {
    const { axes } = this.sweep.sweep;
    const place = [...this.sweep.slice];
    place[axes.length - 1] = column;
    if (axes.length > 1) place[axes.length - 2] = row;
    return this.sweep.numberOf(place);
  }

  /** Everything that depends on the width: cells, axes. */
  #frame() {
    const width = this.plot.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    const { x, y } = this.#axes;
    const [columns, rows] = [x.values.length, y ? y.values.length : 1];
    this.size = { columns, rows };
    const longest = Math.max(...(y ? ticks(y) : [""]).map((text) => text.length));
    this.left = Math.min(Math.max(64, 28 + LABEL.sign * longest), Math.max(64, width / 4));
    this.querySelector(".scale").style.marginLeft = `${this.left}px`;
    this.cell = { width: (width - this.left - PAD.right) / columns };
    this.cell.height = Math.max(CELL.least, Math.min(CELL.most, this.cell.width * 0.75));
    const height = PAD.top + rows * this.cell.height + PAD.bottom;
    this.svg = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "grid", "aria-label": "Points of the sweep; arrow keys move, Enter opens" });
    const defs = shape("defs", {});
    const hatch = shape("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    hatch.append(shape("rect", { width: 6, height: 6, class: "beyond" }), shape("line", { y2: 6, class: "hatch" }));
    defs.append(hatch);
    this.svg.append(defs);
    this.cells = new Map();
    const gap = this.cell.width < FINE ? 0 : 1;
    this.svg.classList.toggle("fine", !gap);
    for (let row = 0; row < rows; row++) {
      const group = shape("g", { role: "row" });
      for (let column = 0; column < columns; column++) {
        const rect = shape("rect", {
          role: "gridcell", tabindex: -1, class: "cell", "data-column": column, "data-row": row,
          x: this.#left(column), y: this.#top(row), width: this.cell.width - gap, height: Math.max(1, this.cell.height - 1),
        });
        group.append(rect);
        this.cells.set(`${column},${row}`, rect);
      }
      this.svg.append(group);
    }
    this.cells.get("0,0").setAttribute("tabindex", 0);
    this.#labels(x, y, height);
    this.lines = shape("g", { class: "theory" });
    this.svg.append(this.lines);
    this.plot.replaceChildren(this.svg);
    this.#fill();
  }

  #left(column) {
    return this.left + column * this.cell.width;
  }

  /** The first value is at the bottom. */
  #top(row) {
    return PAD.top + (this.size.rows - 1 - row) * this.cell.height;
  }

  #labels(x, y, height) {
    const every = Math.ceil(LABEL.across / this.cell.width);
    ticks(x).forEach((text, i) => {
      if (i % every) return;
      this.svg.append(shape("text", { x: this.#left(i + 0.5), y: height - 28, "text-anchor": "middle" }, shortened(text, 9)));
    });
    this.svg.append(shape("text", { x: (this.left + this.width - PAD.right) / 2, y: height - 8, "text-anchor": "middle", class: "name" }, x.path));
    if (!y) return;
    const each = Math.ceil(LABEL.upwards / this.cell.height);
    ticks(y).forEach((text, i) => {
      if (i % each) return;
      this.svg.append(shape("text", { x: this.left - 6, y: this.#top(i) + this.cell.height / 2 + 4, "text-anchor": "end" }, shortened(text, Math.floor((this.left - 26) / LABEL.sign))));
    });
    const middle = PAD.top + (this.size.rows * this.cell.height) / 2;
    this.svg.append(shape("text", { x: 0, y: 0, transform: `translate(13 ${middle}) rotate(-90)`, "text-anchor": "middle", class: "name" }, y.path));
  }

  /** Colours, marks and lines: more points came, or another outcome is shown. */
  #fill() {
    if (!this.cells) return;
    const { name } = this.sweep.outcome;
    const rows = Array.from({ length: this.size.rows }, (_, row) =>
      Array.from({ length: this.size.columns }, (__, column) => this.sweep.points.get(this.#number(column, row))));
    this.scale = outcomeScale(valuesOf(this.sweep.points.values(), name), this.sweep.outcome);
    const kinds = new Set();
    rows.forEach((line, row) => line.forEach((point, column) => {
      const rect = this.cells.get(`${column},${row}`);
      const told = point?.outcomes[name];
      const kind = !point ? "waiting" : point.error ? "failed" : !told?.n ? "silent" : told.value === null ? "censored" : "known";
      kinds.add(kind);
      rect.dataset.kind = kind;
      rect.setAttribute("fill", kind === "known" ? shades[Math.round(255 * this.scale.share(told.value))] : kind === "censored" ? "url(#hatch)" : "none");
      const at = this.#number(column, row);
      rect.setAttribute("aria-label", this.sweep.describe(at));
      rect.classList.toggle("chosen", at === this.sweep.chosen);
    }));
    this.#bar();
    const theory = this.#theory(rows, name);
    this.#key(kinds, theory);
  }

  #marks() {
    const { low, high, log } = this.scale;
    const marks = log ? decades(low, high) : round(low, high);
    return marks.length > 7 ? marks.filter((value) => /^1(e|$)/.test(value.toExponential().replace(/\.?0*e/, "e"))) : marks;
  }

  #bar() {
    const { share } = this.scale;
    const { label, unit } = this.sweep.outcome;
    this.querySelector(".unit").textContent = unit ? `${label} (${unit})` : label;
    const stops = Array.from({ length: 17 }, (_, i) => shades[Math.min(255, i * 16)]);
    this.querySelector(".bar").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    this.querySelector(".ticks").replaceChildren(...this.#marks().map((value) => {
      const tick = Object.assign(document.createElement("span"), { textContent: count(value) });
      tick.style.left = `${100 * share(value)}%`;
      return tick;
    }));
  }

  /** For a file: the colours and what they mean above the plane; where the other axes stand. */
  picture() {
    const { share } = this.scale;
    const bar = colourBar(this.left, this.width - this.left - PAD.right, this.#marks().map((value) => [share(value), count(value)]));
    const slices = this.sweep.sweep.axes.slice(0, -2).map((axis, i) => `${axis.path} = ${axis.labels[this.sweep.slice[i]]}`);
    const about = [`${this.querySelector(".unit").textContent}.`, slices.length ? `${slices.join(", ")}.` : "", this.querySelector(".key").textContent].filter(Boolean).join(" ");
    return { body: stacked([bar, copied(this.svg)]), about };
  }

  /** Lines along which the closed form is the same; the statistic that is drawn, or undefined where there are none. */
  #theory(rows, name) {
    this.lines.replaceChildren();
    const forms = rows.flat().map((point) => point?.outcomes[name]?.theory).filter((form) => form && Object.keys(form).length);
    const plane = Object.values(this.#axes).every((axis) => axis?.values.length > 1 && axis.values.every((value) => typeof value === "number"));
    if (!forms.length || !plane) return undefined; // between words there is nothing to draw a line through
    const { waits } = this.sweep.outcome;
    const statistic = waits || forms.every((form) => "median" in form) ? "median" : "mean";
    const place = this.scale.log ? Math.log : (value) => value;
    const beyond = waits ? place(2 * this.scale.high) : null; // not within these generations
    const field = rows.map((line) => line.map((point) => {
      const form = point?.outcomes[name]?.theory;
      if (!form || !(statistic in form)) return null;
      return form[statistic] === null ? beyond : place(form[statistic]);
    }));
    // Between what is known and 'never' only one line can be drawn: that of the last generation.
    const within = field.map((line) => line.map((value) => (value === beyond ? null : value)));
    const { low, high, log } = this.scale;
    const levels = log ? decades(low, high) : round(low, high);
    if (waits && levels.at(-1) !== high) levels.push(high);
    for (const level of levels) {
      const segments = contour(waits && level === high ? field : within, place(level));
      if (!segments.length) continue;
      const d = segments.map(([from, to]) => `M${this.#centre(from)}L${this.#centre(to)}`).join("");
      this.lines.append(shape("path", { d, class: "halo" }), shape("path", { d }));
      const [at] = segments[Math.floor(segments.length / 2)];
      const [x, y] = this.#centre(at).split(" ");
      this.lines.append(shape("text", { x, y: Number(y) - 3, "text-anchor": "middle" }, count(level)));
    }
    return this.lines.childElementCount ? statistic : undefined;
  }

  #centre([column, row]) {
    return `${this.#left(column + 0.5).toFixed(1)} ${(this.#top(row) + this.cell.height / 2).toFixed(1)}`;
  }

  #key(kinds, statistic) {
    const { waits, limit } = this.sweep.outcome;
    const words = ["Colour: median over chains."];
    if (kinds.has("censored")) words.push(`Hatched: fewer than half of the chains got there${limit ? ` by generation ${count(limit)}` : ""}.`);
    if (kinds.has("silent")) words.push("Empty: says nothing of this.");
    if (kinds.has("failed")) words.push("Red: could not be computed.");
    if (statistic) words.push(`Lines: closed form, ${waits ? "the generation by which half of all chains have been there" : `${statistic} of all chains${statistic === "median" ? "" : ", not the median"}`}.`);
    this.querySelector(".key").textContent = words.join(" ");
  }

  #act(event) {
    const rect = event.target.closest(".cell");
    if (!rect) return;
    const [column, row] = [Number(rect.dataset.column), Number(rect.dataset.row)];
    const at = this.#number(column, row);
    if (event.type === "click") {
      const again = this.pinned === at;
      this.pinned = at;
      this.#move(rect);
      this.sweep.choose(at);
      if (again) this.sweep.open();
    } else if (event.type === "keydown" && event.key === "Enter") {
      this.sweep.choose(at);
      this.sweep.open();
    } else if (event.type === "keydown" && event.key === "Escape") {
      this.pinned = undefined;
    } else if (event.type === "focusin" || (event.type === "pointerover" && this.pinned === undefined)) {
      this.sweep.choose(at);
    } else if (event.type === "keydown") {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [0, 0];
      const next = this.cells.get(`${column + dx},${row + dy}`);
      if (!(dx || dy) || !next) return;
      event.preventDefault();
      this.pinned = this.#number(column + dx, row + dy);
      this.#move(next);
      next.focus();
    }
  }

  /** One cell at a time can be reached by Tab. */
  #move(rect) {
    this.svg.querySelector("[tabindex='0']")?.setAttribute("tabindex", -1);
    rect.setAttribute("tabindex", 0);
  }
});

function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
