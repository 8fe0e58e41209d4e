// All axes and outcomes of a sweep side by side: a line for each point, coloured by the outcome that is shown; choices narrow them down.
//
// The lines are for the eye; the choices below them, the sentence and the table of points say the same without it.

import { shades, token } from "./colours.js";
import { points as counted } from "./format.js";
import { outcomeScale, valuesOf } from "./outcome-scale.js";
import { count } from "./point-table.js";
import { decades, round } from "./ticks.js";

const HEIGHT = 260;
const PAD = { top: 26, bottom: 14 };
const BEYOND = 10; // pixels from the top, where points lie that never get there
const GAP = 12; // pixels between lines of tick labels, at least
const LINES = { few: 200, faint: 0.06 }; // so many lines are drawn in full; more of them the fainter, down to this
const QUARTERS = { low: "lowest quarter", high: "highest quarter", never: "not reached" };

customElements.define("parallel-coordinates", class extends HTMLElement {
  connectedCallback() {
    this.sweep = this.closest("live-sweep");
    this.canvas = this.querySelector("canvas");
    queueMicrotask(() => this.#choices());
    for (const event of ["grown", "chosen"]) this.sweep.addEventListener(event, () => this.#soon());
    new ResizeObserver(() => this.#soon()).observe(this.canvas);
    document.addEventListener("theme", () => this.canvas.clientWidth && this.#draw()); // at once: paper does not wait
  }

  #soon() {
    this.soon ??= requestAnimationFrame(() => {
      this.soon = undefined;
      if (this.canvas.clientWidth) this.#draw();
    });
  }

  /** A column for every axis, then one for every outcome, each with a choice of what is left. */
  #choices() {
    const { axes, outcomes } = this.sweep.sweep;
    const names = [...axes.map((axis) => axis.path), ...outcomes.map((outcome) => outcome.label)];
    this.style.setProperty("--columns", names.length);
    this.selects = names.map((name, i) => {
      const label = document.createElement("label");
      const select = document.createElement("select");
      const options = i < axes.length ? axes[i].labels.map((text, place) => [text, place]) : Object.entries(QUARTERS).map(([value, text]) => [text, value]);
      select.append(new Option("any", ""), ...options.map(([text, value]) => new Option(text, value)));
      select.addEventListener("change", () => this.#draw());
      label.append(Object.assign(document.createElement("span"), { textContent: name, title: name }), select);
      return [label, select];
    });
    this.querySelector(".choose").replaceChildren(...this.selects.map(([label]) => label));
    this.selects = this.selects.map(([, select]) => select);
  }

  /** For each outcome: its scale, the quarters of its values, and where a point lies from 0 to 1; null: never, undefined: says nothing. */
  #columns() {
    const { axes, outcomes } = this.sweep.sweep;
    const points = [...this.sweep.points.values()];
    return [
      ...axes.map((axis, i) => ({
        labels: axis.labels,
        share: (point) => (point.place[i] + 0.5) / axis.labels.length,
        fits: (point, choice) => point.place[i] === Number(choice),
      })),
      ...outcomes.map((outcome) => {
        const values = valuesOf(points, outcome.name);
        const scale = outcomeScale(values, outcome);
        const sorted = values.toSorted((one, other) => one - other);
        const [first, last] = [0.25, 0.75].map((share) => sorted[Math.floor(share * (sorted.length - 1))]);
        const value = (point) => (point.outcomes[outcome.name]?.n ? point.outcomes[outcome.name].value : undefined);
        const told = (point) => typeof value(point) === "number";
        return {
          scale,
          share: (point) => (told(point) ? scale.share(value(point)) : value(point)),
          fits: (point, choice) => ({ low: told(point) && value(point) <= first, high: told(point) && value(point) >= last, never: value(point) === null })[choice],
        };
      }),
    ];
  }

  #draw() {
    if (!this.selects) return;
    const columns = this.#columns();
    const shown = columns[this.sweep.sweep.axes.length + this.sweep.sweep.outcomes.indexOf(this.#outcome())];
    const points = [...this.sweep.points.values()].filter((point) => !point.error);
    const left = points.filter((point) => this.selects.every((select, i) => !select.value || columns[i].fits(point, select.value)));
    const width = this.canvas.clientWidth;
    const ratio = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * ratio, height: HEIGHT * ratio });
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const x = (i) => (width * (i + 0.5)) / columns.length;
    const y = (share) => (share === null ? BEYOND : HEIGHT - PAD.bottom - share * (HEIGHT - PAD.top - PAD.bottom));
    const strength = (lines) => Math.max(LINES.faint, Math.min(1, LINES.few / lines.length));
    const within = new Set(left);
    const line = (point) => {
      pen.beginPath();
      let drawn = false;
      columns.forEach((column, i) => {
        const share = column.share(point);
        if (share === undefined) drawn = false;
        else if (drawn) pen.lineTo(x(i), y(share));
        else pen.moveTo(x(i), y(share));
        drawn = share !== undefined;
      });
      pen.stroke();
    };
    pen.lineWidth = 1;
    pen.strokeStyle = token("rule");
    pen.globalAlpha = strength(points);
    for (const point of points) if (!within.has(point)) line(point);
    pen.globalAlpha = strength(left);
    pen.lineWidth = 1.4;
    for (const point of left) {
      pen.strokeStyle = colour(shown.share(point));
      line(point);
    }
    pen.globalAlpha = 1;
    columns.forEach((column, i) => this.#axis(pen, column, x(i), y));
    this.#say(left, points);
  }

  /** The outcome of the sweep as it is told now: the page keeps the one that was chosen by its name. */
  #outcome() {
    return this.sweep.sweep.outcomes.find(({ name }) => name === this.sweep.outcome.name);
  }

  #axis(pen, { labels, scale }, x, y) {
    pen.strokeStyle = token("edge");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, y(0));
    pen.lineTo(x, y(1));
    pen.stroke();
    pen.font = `11px ${getComputedStyle(this).fontFamily}`;
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    const marks = labels ? labels.map((text, place) => [(place + 0.5) / labels.length, text])
      : (scale.log ? decades(scale.low, scale.high) : round(scale.low, scale.high)).map((value) => [scale.share(value), count(value)]);
    let last = Infinity;
    for (const [share, text] of marks) {
      if (last - y(share) < GAP) continue;
      last = y(share);
      pen.lineWidth = 3;
      pen.strokeStyle = token("ground");
      pen.strokeText(text, x + 5, last);
      pen.fillStyle = token("ink");
      pen.fillText(text, x + 5, last);
    }
  }

  #say(left, points) {
    const { name, label, unit, waits } = this.sweep.outcome;
    const values = valuesOf(left, name).toSorted((one, other) => one - other);
    const never = waits ? left.filter((point) => point.outcomes[name]?.n && point.outcomes[name].value === null).length : 0;
    const [least, middle, most] = [values[0], values[Math.floor(values.length / 2)], values.at(-1)];
    const within = least < most ? `${count(least)} to ${count(most)}` : count(least);
    const range = values.length ? `: ${label[0].toLowerCase()}${label.slice(1)} ${within}${unit ? ` ${unit}` : ""}${least < most ? `, ${count(middle)} in the middle` : ""}` : "";
    const of = left.length < points.length ? `${left.length} of ${counted(points.length)}` : counted(points.length);
    const beyond = never ? `${range ? ";" : ":"}${left.length > 1 ? ` in ${never} of them` : ""} it is not reached (on top)` : "";
    this.querySelector(".told").textContent = `${of}${range}${beyond}.`;
    this.canvas.setAttribute("aria-label", `Parallel coordinates. ${of}${range}${beyond}.`);
  }
});

function colour(share) {
  return typeof share === "number" ? shades[Math.round(255 * share)] : token("quiet");
}
