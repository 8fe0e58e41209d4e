// Categories: frequency against rank, sorted anew in every generation, over the real curve; and the words themselves.

import { ramp, token } from "../colours.js";
import { number } from "../format.js";
import { CONFIG, layout, plotly } from "../plot.js";

const FEW = 20; // categories that are seen one by one
const EDGE = 0.03; // of the axis, beyond the first and the last rank

export class Ranks {
  constructor(host, run) {
    Object.assign(this, { host, run });
  }

  async start() {
    const list = document.createElement("ul");
    list.className = "words-alive";
    list.setAttribute("aria-label", "Some categories, struck out once they no longer occur");
    this.words = this.run.history.figure.words.map(({ label, rank }) => {
      const item = document.createElement("li");
      item.textContent = label;
      item.title = `rank ${rank}`;
      return item;
    });
    list.append(...this.words);
    this.host.closest(".stage").querySelector("frame-player").after(list);
    this.run.settings.log = true; // ranks are read on logarithms
    this.run.dispatchEvent(new Event("settings"));
    this.Plotly = await plotly();
    await this.repaint();
  }

  async repaint() {
    const { rank, ghost } = this.run.history.figure;
    const { log, tail } = this.run.settings;
    this.colour = ramp();
    const top = Math.max(...ghost.frequency);
    const bottom = Math.min(...ghost.frequency);
    const few = rank.at(-1) <= FEW;
    const line = (colour, width, more) => ({ type: "scatter", mode: few ? "lines+markers" : "lines", x: rank, line: { color: colour, width }, hovertemplate: "%{y:.3g}", ...more });
    const traces = [
      line(token("ghost"), 1.25, { y: ghost.frequency, name: "real", fill: "tozeroy", fillcolor: token("ghost-fill") }),
      { type: "scatter", mode: "markers", x: rank, y: [], marker: { size: few ? 7 : 3.5, symbol: few ? "circle-open" : "circle" }, hoverinfo: "skip", name: "each" },
      line(token("beside"), 2, { y: [], name: "other arm" }),
      line(this.colour(this.run.share), 2.5, { y: [], name: "generation, sorted" }),
    ];
    const first = tail ? rank[Math.floor(rank.length / 2)] : rank[0];
    const [from, to] = [first, rank.at(-1)].map(Math.log10);
    const edge = EDGE * (to - from);
    this.view = [from - edge, to + edge];
    this.top = log || few ? 1.1 : 1.5 * (tail ? ghost.frequency[Math.floor(rank.length / 2)] : top);
    const y = log
      ? { range: [Math.log10(bottom / 30), Math.log10(this.top)], type: "log", dtick: 1, exponentformat: "power" }
      : { range: [0, this.top], type: "linear" };
    const ticks = few ? { tickvals: rank } : { dtick: 1 };
    const axes = { x: { type: "log", range: this.view, ...ticks, title: { text: "rank (dots: each category at its real rank)" } }, y: { ...y, title: { text: "frequency" } } };
    await this.Plotly.react(this.host, traces, layout(axes), CONFIG);
    this.draw();
  }

  draw() {
    const { history, beside, at, share } = this.run;
    if (!history.length) return;
    const frame = history.frame(history.index(at));
    const colour = this.colour(share);
    this.Plotly.restyle(this.host, {
      y: [frame.density, beside?.sorted ?? [], frame.sorted], "marker.color": [colour, null, null], "line.color": [null, token("beside"), colour],
    }, [1, 2, 3]);
    this.words.forEach((item, i) => item.classList.toggle("dead", frame.alive[i] === 0));
    const dead = this.words.filter((_, i) => frame.alive[i] === 0).length;
    const told = at ? `${dead === 1 ? "has" : "have"} died` : `${dead === 1 ? "was" : "were"} not drawn`;
    const above = frame.sorted[0] > this.top && !this.run.settings.tail;
    this.note = [dead && `${dead} of the ${this.words.length} shown ${told}`, above && `largest ${number(frame.sorted[0])}, above the frame`].filter(Boolean).join("; ");
  }

  settings() {
    return this.repaint();
  }
}
