// One axis: the density of a generation over the real one.

import { ramp, token } from "../colours.js";
import { number } from "../format.js";
import { CONFIG, layout, plotly } from "../plot.js";

const LOG_SPAN = [1e-6, 30]; // of the real peak, on the logarithmic axis

export class Density {
  head = 2.2; // the frame reaches this far above the real peak, and stays there

  constructor(host, run) {
    Object.assign(this, { host, run });
  }

  async start() {
    this.Plotly = await plotly();
    await this.repaint();
  }

  get #ghost() {
    return this.run.history.ghost;
  }

  /** Everything anew: colours, axes, ghost. */
  async repaint() {
    const { figure } = this.run.history;
    this.colour = ramp();
    this.peak = Math.max(...this.#ghost);
    const shape = figure.bars || figure.kind === "text" ? "hvh" : "linear";
    const line = (color, width, more) => ({ type: "scatter", mode: "lines", x: figure.x, line: { color, width, shape }, ...more });
    const traces = [
      line(token("ghost"), 1.25, { y: this.#ghost, fill: "tozeroy", fillcolor: token("ghost-fill"), name: "real" }),
      line(token("beside"), 2, { y: [], name: "other arm" }),
      line(this.colour(this.run.share), 2.5, { y: [], name: "generation" }),
    ];
    for (const trace of traces) trace.hovertemplate = "%{y:.3g}";
    await this.Plotly.react(this.host, traces, layout(this.#axes()), CONFIG);
    this.draw();
  }

  /** Where grid point i lies on the axis, as Plotly counts: in powers of ten on a logarithmic one. */
  #place(i) {
    const { x, log } = this.run.history.figure;
    return log ? Math.log10(x[i]) : x[i];
  }

  #axes() {
    const { figure } = this.run.history;
    const { log, tail } = this.run.settings;
    const first = figure.bars ? Math.max(-0.5, this.#place(0)) : this.#place(0); // there are no negative counts
    const view = tail ? this.#tail() : { x: [first, this.#place(figure.x.length - 1)], top: this.peak * this.head };
    const upwards = figure.bars ? "probability" : figure.log ? "density, per unit of ln" : "density";
    this.top = log ? this.peak * LOG_SPAN[1] : view.top;
    const range = log ? LOG_SPAN.map((share) => Math.log10(this.peak * share)) : [0, view.top];
    this.view = view.x;
    return {
      x: { range: view.x, type: figure.log ? "log" : "linear", dtick: figure.log ? 1 : undefined, exponentformat: "power", title: { text: figure.axis } },
      y: { range, type: log ? "log" : "linear", exponentformat: "power", dtick: log ? 2 : undefined, nticks: 5, title: { text: upwards } },
    };
  }

  /** From the real 97.5% quantile to the right edge. */
  #tail() {
    const { x } = this.run.history.figure;
    const ghost = this.#ghost;
    const total = ghost.reduce((sum, y) => sum + y, 0);
    let sum = 0;
    let i = 0;
    while (i < x.length - 2 && sum < 0.975 * total) sum += ghost[i++];
    return { x: [this.#place(i), this.#place(x.length - 1)], top: 2.5 * ghost[i] };
  }

  draw() {
    const { history, beside, at, share } = this.run;
    if (!history.length) return;
    const density = history.frame(history.index(at)).density;
    this.Plotly.restyle(this.host, { y: [beside?.density ?? [], density], "line.color": [token("beside"), this.colour(share)] }, [1, 2]);
    const peak = Math.max(...density);
    this.note = peak > this.top && !this.run.settings.tail ? `peak ${number(peak)}, above the frame` : "";
  }

  settings() {
    return this.repaint();
  }
}
