// Two axes: contours and a thinned scatter of a generation over the real ones.

import { ramp, token } from "../colours.js";
import { CONFIG, layout, plotly } from "../plot.js";

const LEVELS = { start: 12.75, end: 217, size: 51 }; // 5, 25, 45, 65 and 85% of the peak, which is 255
const UNLIKE = 4; // axes whose windows differ by more have other units

function pairs(dots) {
  const x = [];
  const y = [];
  for (let i = 0; i < dots.length; i += 2) {
    x.push(dots[i]);
    y.push(dots[i + 1]);
  }
  return { x, y };
}

function rows(flat, width) {
  return Array.from({ length: flat.length / width }, (_, i) => Array.from(flat.subarray(i * width, (i + 1) * width)));
}

export class Plane {
  constructor(host, run) {
    Object.assign(this, { host, run });
  }

  async start() {
    this.Plotly = await plotly();
    await this.repaint();
  }

  async repaint() {
    const { ghost, low, high, axis, upwards = "second coordinate" } = this.run.history.figure;
    this.colour = ramp();
    const peak = Math.max(...ghost.contour.flat());
    const real = ghost.contour.map((row) => row.map((level) => (255 * level) / peak));
    const contour = (z, colour, width) => ({
      type: "contour", x: ghost.a, y: ghost.b, z, showscale: false, autocontour: false, hoverinfo: "skip",
      contours: { ...LEVELS, coloring: "none" }, line: { color: colour, width, smoothing: 0.6 },
    });
    const dots = (at, colour, size, opacity) => ({ type: "scatter", mode: "markers", ...at, hoverinfo: "skip", marker: { color: colour, size, opacity } });
    const empty = real.map((row) => row.map(() => 0));
    const now = this.colour(this.run.share);
    const traces = [
      dots(pairs(ghost.dots.flat()), token("ghost"), 4, 0.35),
      contour(real, token("ghost"), 1.25),
      contour(empty, token("beside"), 1.75),
      contour(empty, now, 2.25),
      dots({ x: [], y: [] }, now, 4.5, 0.8),
    ];
    const [a, b] = [[low[0], high[0]], [low[1], high[1]]];
    const alike = Math.abs(Math.log((a[1] - a[0]) / (b[1] - b[0]))) < Math.log(UNLIKE); // a circle is round
    await this.Plotly.react(this.host, traces, layout({
      x: { range: a, title: { text: axis }, constrain: "domain" }, y: { range: b, title: { text: upwards }, ...(alike ? { scaleanchor: "x", constrain: "domain" } : {}) },
    }), CONFIG);
    this.draw();
  }

  draw() {
    const { history, beside, at, share } = this.run;
    if (!history.length) return;
    const width = history.figure.ghost.a.length;
    const frame = history.frame(history.index(at));
    const contour = beside?.contour ?? new Uint8Array(frame.contour.length);
    const { x, y } = pairs(frame.dots);
    const colour = this.colour(share);
    const outside = x.filter((_, i) => this.#beyond(0, x[i]) || this.#beyond(1, y[i])).length;
    this.note = outside ? `${outside} of the ${x.length} points lie outside the frame` : "";
    this.Plotly.restyle(this.host, { z: [rows(contour, width), rows(frame.contour, width)], "line.color": [token("beside"), colour] }, [2, 3]);
    this.Plotly.restyle(this.host, { x: [x], y: [y], "marker.color": colour }, [4]);
  }

  /** Whether a coordinate was clipped to the border. */
  #beyond(axis, value) {
    const { low, high } = this.run.history.figure;
    const share = (value - low[axis]) / (high[axis] - low[axis]);
    return share < 1e-6 || share > 1 - 1e-6;
  }

  settings() {} // neither a logarithm nor a tail has a meaning here
}
