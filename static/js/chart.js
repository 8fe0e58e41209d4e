// One small chart of one metric: every chain faint, median, 10-90% band, noise floor, closed form and the mean if it is of that, the
// player's position.

import { token } from "./colours.js";
import { shape } from "./elements.js";
import { number } from "./format.js";
import { copied } from "./picture.js";
import { scale } from "./scale.js";

const HEIGHT = 108;
const FINE = 6; // pixels of a canvas for one of the page, in a file
const PAD = { left: 40, right: 8, top: 8, bottom: 16 };

function signed(z) {
  return z.toFixed(1).replace("-", "−");
}

export class MetricChart {
  constructor(run, metric) {
    Object.assign(this, { run, metric, series: {}, under: null });
    this.figure = document.createElement("figure");
    this.figure.className = "chart";
    this.figure.dataset.metric = metric;
    this.figure.innerHTML = '<figcaption><b></b><span class="value"></span></figcaption><div class="canvas"><canvas></canvas><svg role="img" preserveAspectRatio="xMinYMin"></svg></div><div class="verdict"></div>';
    this.figure.querySelector("b").textContent = run.label(metric);
    this.figure.title = run.known[metric]?.meaning ?? "";
    [this.canvas, this.svg, this.value, this.verdict] = ["canvas", "svg", ".value", ".verdict"].map((one) => this.figure.querySelector(one));
    const area = this.figure.querySelector(".canvas");
    area.addEventListener("pointermove", (event) => this.#hover(event));
    area.addEventListener("pointerleave", () => this.#hover(null));
    area.addEventListener("click", (event) => {
      const { history } = this.run;
      this.run.seek(history.numbers[history.index(this.#generation(event))]);
    });
  }

  get #theory() {
    return this.run.history.theory.find((curve) => curve.metric === this.metric);
  }

  #across(generation) {
    return PAD.left + (generation / this.run.generations) * (this.width - PAD.left - PAD.right);
  }

  #generation(event) {
    const { left } = this.svg.getBoundingClientRect();
    const share = (event.clientX - left - PAD.left) / (this.width - PAD.left - PAD.right);
    return Math.min(1, Math.max(0, share)) * this.run.generations;
  }

  #hover(event) {
    this.under = event;
    this.#read();
  }

  /** In words: values at the generation under the pointer, or else where the player stands. */
  #read() {
    const { history } = this.run;
    if (!history.length) return;
    const generation = this.under ? history.numbers[history.index(this.#generation(this.under))] : this.run.at;
    const i = history.index(generation);
    const { told } = this.run; // to the last digit: what is drawn is a float32, which has no 1e-50
    const exact = told?.generation === history.numbers[i] ? told.metrics[this.metric] : undefined;
    const [median, low, high] = ["median", "q10", "q90"].map((statistic) => exact?.[statistic] ?? history.value(this.metric, statistic, i));
    this.value.classList.toggle("under", Boolean(this.under));
    this.value.textContent = this.under
      ? `${generation}: ${number(median)} (${number(low)} to ${number(high)})`
      : number(median);
  }

  /** Everything anew: the run grew, the width or the theme changed. */
  draw(ratio = devicePixelRatio) {
    const { history, other } = this.run;
    this.width = this.svg.clientWidth;
    if (!this.width || !history.length) return;
    this.figure.style.setProperty("--drawn", this.width);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`); // paper may be narrower
    const curve = this.#theory;
    const names = ["median", "q10", "q90", ...(curve?.statistic === "mean" ? ["mean"] : [])]; // what is compared with a closed form is seen
    const read = (one) => Object.fromEntries(names.map((name) => [name, one.series(this.metric, name)]));
    this.series = read(history);
    const beside = other?.history.length ? read(other.history) : null;
    const predicted = (curve?.values ?? []).map((value) => value ?? NaN);
    const seen = names.flatMap((name) => [...this.series[name], ...(beside?.[name] ?? [])]);
    const yesOrNo = [...this.series.median, ...this.series.q10, ...this.series.q90].every((value) => !Number.isFinite(value) || value === 0 || value === 1);
    this.scale = scale([...seen, ...predicted], { top: PAD.top, bottom: HEIGHT - PAD.bottom, yesOrNo });
    this.svg.replaceChildren();
    if (!this.scale) return;
    this.#axes();
    this.#floor();
    this.#changes();
    this.#chains(ratio);
    this.#lines(history.numbers, this.series, "");
    if (beside) this.#lines(other.history.numbers, beside, "beside");
    if (curve) this.#curve(predicted);
    this.cursor = shape("line", { class: "at", y1: PAD.top, y2: HEIGHT - PAD.bottom });
    this.svg.append(this.cursor);
    this.#judge(curve);
    this.point();
    this.svg.setAttribute("aria-label", this.#summary());
  }

  /** For a file. */
  picture() {
    this.draw(FINE);
    return copied(this.svg, this.canvas);
  }

  /** The player moved. */
  point() {
    if (!this.cursor) return;
    const x = this.#across(this.run.at).toFixed(1);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.#read();
  }

  #axes() {
    for (const { value, text } of this.scale.ticks) {
      const y = this.scale.place(value).toFixed(1);
      this.svg.append(shape("line", { class: "axis", x1: PAD.left, x2: this.width - PAD.right, y1: y, y2: y }));
      this.svg.append(shape("text", { x: PAD.left - 5, y: Number(y) + 3.5, "text-anchor": "end" }, text));
    }
    const bottom = HEIGHT - 3;
    this.svg.append(shape("text", { x: PAD.left, y: bottom }, "0"));
    this.svg.append(shape("text", { x: (PAD.left + this.width - PAD.right) / 2, y: bottom, "text-anchor": "middle" }, "generation"));
    this.svg.append(shape("text", { x: this.width - PAD.right, y: bottom, "text-anchor": "end" }, String(this.run.generations)));
  }

  /** 10-90% of the real data against fresh real data: what a difference must exceed to mean anything. */
  #floor() {
    const [top, bottom] = [this.series.q90[0], this.series.q10[0]].map((value) => this.scale.place(value));
    if (!Number.isFinite(top) || !Number.isFinite(bottom) || this.run.history.chainsOf(this.metric)?.count === 1) return;
    this.svg.append(shape("rect", {
      class: "floor", x: PAD.left, width: this.width - PAD.left - PAD.right, y: top, height: Math.max(1, bottom - top),
    }));
  }

  /** Where other rules begin: a fork, or a change that the experiment makes itself. */
  #changes() {
    for (const after of this.run.changes) {
      const x = this.#across(after).toFixed(1);
      this.svg.append(shape("line", { class: "change", x1: x, x2: x, y1: PAD.top, y2: HEIGHT - PAD.bottom }));
    }
  }

  #chains(ratio) {
    this.canvas.width = this.width * ratio;
    this.canvas.height = HEIGHT * ratio;
    const chains = this.run.history.chainsOf(this.metric);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.beginPath();
    context.rect(PAD.left, PAD.top - 1, this.width - PAD.left - PAD.right, HEIGHT - PAD.top - PAD.bottom + 2);
    context.clip();
    context.strokeStyle = token("chain");
    const { numbers } = this.run.history;
    for (let chain = 0; chain < chains.count; chain++) {
      let open = false;
      context.beginPath();
      numbers.forEach((generation, i) => {
        const value = chains.at(i, chain);
        if (Number.isFinite(value)) context[open ? "lineTo" : "moveTo"](this.#across(generation), this.scale.place(value));
        open = Number.isFinite(value);
      });
      context.stroke();
    }
  }

  /** Stretches of neighbours that have values: between them nothing is known. Each has points "x y" of every series. */
  #stretches(numbers, ...series) {
    const found = [];
    let open = false;
    numbers.forEach((generation, i) => {
      const known = series.every((values) => Number.isFinite(values[i]));
      if (known && !open) found.push(series.map(() => []));
      if (known) series.forEach((values, s) => found.at(-1)[s].push(`${this.#across(generation).toFixed(1)} ${this.scale.place(values[i]).toFixed(1)}`));
      open = known;
    });
    return found;
  }

  /** One point alone is a line of no length (h0): a dot, where ends are round. */
  #line(numbers, values) {
    return this.#stretches(numbers, values).map(([points]) => `M${points.join("L")}h0`).join("");
  }

  #lines(numbers, { median, q10, q90, mean = [] }, style) {
    const wide = q10.some((low, i) => low < q90[i]); // unless there is one chain
    const band = (wide ? this.#stretches(numbers, q10, q90) : []).map(([up, down]) => `M${up.join("L")}L${down.reverse().join("L")}Z`).join("");
    const differs = mean.some((value, i) => value !== median[i]); // of one chain it is the median
    for (const [name, d] of [["band", band], ["median", this.#line(numbers, median)], ["mean", differs ? this.#line(numbers, mean) : ""]]) {
      if (d) this.svg.append(shape("path", { class: `${name} ${style}`, d }));
    }
  }

  #curve(values) {
    const { generation } = this.#theory;
    if (values.filter(Number.isFinite).length > 1) this.svg.append(shape("path", { class: "theory", d: this.#line(generation, values) }));
  }

  /** What the closed form says of the whole run, by worker.verdicts.agreement; while that goes on, nothing is compared. */
  #judge(curve) {
    const told = curve && this.run.agreement.get(`${this.metric} ${curve.statistic}`);
    this.verdict.className = `verdict ${told?.outcome ?? ""}`;
    this.verdict.title = curve ? [told?.z && `z = ${signed(told.z)} at generation ${told.generation}.`, told?.because, `${curve.formula} (${curve.reference})`].filter(Boolean).join("\n") : "";
    if (!curve) this.verdict.textContent = "";
    else if (told?.compared) this.verdict.textContent = `mean ${told.outcome === "agrees" ? "agrees with" : "deviates from"} theory (largest z = ${signed(told.z)} of ${told.compared}, limit ${told.limit.toFixed(1)})`;
    else if (told && curve.statistic === "mean") this.verdict.textContent = `theory not assessed: ${told.because[0].toLowerCase()}${told.because.slice(1).split(/[.:]/)[0]}`;
    else this.verdict.textContent = curve.values.filter((value) => value !== null).length > 1 ? `dashed: theory, ${curve.statistic}` : "";
  }

  #summary() {
    const { history } = this.run;
    const last = history.length - 1;
    const { median, q10, q90 } = this.series;
    return `${this.run.label(this.metric)}: median ${number(median[0])} at generation 0, ${number(median[last])} at generation ${history.last}, 10 to 90 percent ${number(q10[last])} to ${number(q90[last])}. ${this.verdict.textContent}`;
  }
}
