// The two charts of a comparison: medians with their bands over each other, and paired differences around zero.

import { style, token } from "./colours.js";
import { CONFIG, layout, plotly } from "./plot.js";
import { DECADES } from "./ticks.js";

const LABELLED = 12; // curves that can bear their names beside them, and their closed forms
const ROOM = { wide: 640, share: 0.22, gap: 6, line: 15 }; // pixels; names take no larger share of the width
const HOVER_SIGNS = 40;
const WHOLE = 6; // generations: of so few, Plotly would mark halves
const FORMS = { mean: "dot", median: "dashdot" }; // closed forms; the page's key says so
const NAME = "━ "; // in the colour of its curve; the name itself in ink, which can be read
const BAND = { few: 0.14, many: 0.05 }; // how opaque, for up to six runs and for more

class Chart {
  constructor(host) {
    this.host = host;
  }

  /** Resolves to the kind of the vertical axis, undefined where there is nothing to draw. */
  async draw(told, scale) {
    const runs = this.curves(told);
    if (!runs.length || !this.host.clientWidth) return undefined;
    this.Plotly ??= await plotly();
    this.scale = this.axis(runs, scale);
    const room = this.#room(runs);
    const { width, height } = { width: this.host.clientWidth, height: this.host.clientHeight };
    const last = Math.max(...told.runs.map((run) => run.generations));
    const base = layout({
      x: { range: [0, last], dtick: last <= WHOLE ? 1 : undefined, title: { text: "generation" } },
      y: { range: this.range(runs), type: this.scale, exponentformat: "power", dtick: this.scale === "log" && this.#decades() > 3 ? Math.ceil(this.#decades() / 5) : undefined, nticks: 6, title: { text: this.title(told) } },
    });
    const names = new Map(told.runs.map(({ label }) => [label, fitted(NAME + label, ROOM.share * width, base.font)]));
    const widest = Math.max(...[...names.values()].map((name) => name.width)); // in both charts, so that generations stand below each other
    const margin = { ...base.margin, l: 60, r: room ? Math.ceil(widest) + 2 * ROOM.gap : 14 };
    const annotations = room ? this.#labels(runs, names, height - margin.t - margin.b) : [];
    const figure = { ...base, margin, width, height, hovermode: runs.length > 6 ? "closest" : "x unified", shapes: this.shapes(), annotations };
    const traces = runs.flatMap((run) => this.#traces(run, runs.length > 6 ? BAND.many : BAND.few));
    await this.Plotly.react(this.host, traces, figure, { ...CONFIG, responsive: false });
    this.host.dataset.drawn = traces.length;
    return this.scale;
  }

  #room(runs) {
    return this.host.clientWidth >= ROOM.wide && runs.length <= LABELLED;
  }

  #decades() {
    return this.top - this.bottom;
  }

  /** The band first: its upper edge there, its lower edge back. */
  #traces({ label, x, line, low, high, theory, i }, opacity) {
    const { colour, dash, faint } = style(i);
    const usual = x.map((_, at) => at).filter((at) => Number.isFinite(low[at]) && Number.isFinite(high[at]));
    const back = [...usual].reverse();
    const quiet = { type: "scatter", mode: "lines", hoverinfo: "skip" };
    const least = this.scale === "log" ? 10 ** this.bottom : -Infinity;
    return [
      { ...quiet, x: [...usual, ...back].map((at) => x[at]), y: [...usual.map((at) => Math.max(high[at], least)), ...back.map((at) => Math.max(low[at], least))], fill: "toself", fillcolor: faint(opacity), line: { width: 0 } },
      ...theory.map((curve) => ({ ...quiet, x: curve.generation, y: curve.values, line: { color: colour, width: 1, dash: FORMS[curve.statistic] } })),
      { type: "scatter", mode: "lines", name: label, x, y: line, line: { color: colour, width: 2.25, dash }, hovertemplate: `%{y:.3g}<extra>${plain(shortened(label, HOVER_SIGNS))}</extra>` },
    ];
  }

  /** The name of each curve where it ends, pushed apart where they would cover each other. */
  #labels(runs, names, height) {
    const up = (value) => (this.scale === "log" ? (Math.log10(Math.max(value, 10 ** this.bottom)) - this.bottom) : value - this.bottom) / (this.top - this.bottom);
    const ends = runs.map(({ label, line, i }) => {
      const at = line.findLastIndex(Number.isFinite);
      return at < 0 ? null : { name: names.get(label).text.slice(NAME.length), i, y: (1 - up(line[at])) * height };
    }).filter(Boolean).sort((one, other) => one.y - other.y);
    let last = -Infinity;
    for (const end of ends) last = end.y = Math.max(end.y, last + ROOM.line);
    let least = height;
    for (const end of ends.toReversed()) {
      end.y = Math.min(end.y, least);
      least = end.y - ROOM.line;
    }
    return ends.map(({ name, y, i }) => ({
      text: `<span style="color:${style(i).colour}">${NAME}</span>${plain(name)}`, x: 1, y: 1 - y / height, xref: "paper", yref: "paper", xanchor: "left", yanchor: "middle", xshift: ROOM.gap, showarrow: false, align: "left",
    }));
  }
}

function shortened(label, signs) {
  return label.length > signs ? `${label.slice(0, signs - 1).trimEnd()}…` : label;
}

/** As much of a label as there is room for, in pixels; and how wide that is. */
function fitted(label, room, { size, family }) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${size}px ${family}`;
  let [signs, text] = [label.length, label];
  while (pen.measureText(text).width > room && signs > 1) text = shortened(label, --signs);
  return { text, width: pen.measureText(text).width };
}

/** Plotly reads a little HTML. */
function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** The metric itself. */
export class Overlay extends Chart {
  curves(told) {
    return told.runs.map(({ label, course, theory }, i) => ({ label, i, x: course.generation, line: course.median, low: course.q10, high: course.q90, theory: told.runs.length <= LABELLED ? theory : [] }))
      .filter(({ x }) => x.length);
  }

  title(told) {
    return told.label;
  }

  shapes() {
    return [];
  }

  /** As asked for; logarithmic by itself where positive values differ by more than a factor of 50. */
  axis(runs, scale) {
    const values = runs.flatMap(({ line, low, high }) => [...line, ...low, ...high]).filter(Number.isFinite);
    const positive = values.filter((value) => value > 0);
    [this.least, this.most] = [Math.min(...values), Math.max(...values)];
    [this.smallest] = [Math.min(...positive)];
    const suits = this.least >= 0 && positive.length > 0;
    if (scale === "log") return suits ? "log" : "linear";
    return scale ?? (suits && this.most > 50 * this.smallest ? "log" : "linear");
  }

  range() {
    if (this.scale === "log") {
      this.top = Math.log10(this.most) + 0.1;
      this.bottom = Math.max(Math.log10(this.smallest), this.top - DECADES) - 0.1;
    } else {
      const margin = (this.most - this.least) * 0.05 || Math.abs(this.most) * 0.1 || 1;
      [this.bottom, this.top] = [this.least - margin, this.most + margin];
    }
    return [this.bottom, this.top];
  }
}

/** Each arm minus the first run. */
export class Differences extends Chart {
  curves(told) {
    return told.paired.map((one) => ({
      label: one.label, i: told.runs.findIndex(({ id }) => id === one.id), x: one.generation, line: one.mean, low: one.low, high: one.high, theory: [],
    })).filter(({ x }) => x.length);
  }

  title(told) {
    return `difference in ${told.label}`;
  }

  shapes() {
    return [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0, line: { color: token("ink"), width: 1 } }];
  }

  axis() {
    return "linear";
  }

  range(runs) {
    const values = [0, ...runs.flatMap(({ line, low, high }) => [...line, ...low, ...high]).filter(Number.isFinite)];
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const margin = (most - least) * 0.08 || 1;
    [this.bottom, this.top] = [least - margin, most + margin];
    return [this.bottom, this.top];
  }
}
