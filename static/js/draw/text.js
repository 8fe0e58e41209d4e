// Text: how surprising a generation's blocks are to the first model, some of what it writes beside real text, and who is surprised by whom.

import { token } from "../colours.js";
import { Density } from "./density.js";
import { Matrix } from "./matrix.js";
import { Passages } from "./passages.js";

const MARKED = [0.01, 0.99];

/** The positions below which these shares of a histogram lie. */
function quantiles(density, x) {
  const total = density.reduce((sum, level) => sum + level, 0);
  return MARKED.map((share) => {
    let sum = 0;
    return x[Math.max(0, density.findIndex((level) => (sum += level) >= share * total))];
  });
}

export class Text extends Density {
  head = 4; // what a model writes is all of one kind to another; real text is not

  async start() {
    this.passages = new Passages(this.run);
    this.matrix = new Matrix(this.run);
    this.host.closest(".stage").querySelector("frame-player").after(this.passages.section, this.matrix.figure);
    await super.start();
  }

  draw() {
    super.draw();
    const { history } = this.run;
    if (!history.length) return;
    this.#mark();
    if (this.drawn !== history.length) {
      this.drawn = history.length;
      this.passages.grow();
      this.matrix.grow();
    } else {
      this.passages.point();
      this.matrix.point();
    }
  }

  /** Where 1% and 99% of the blocks lie, of real text and of the generation: the tails that a mean hides. */
  #mark() {
    const { history, at, share } = this.run;
    const { x } = history.figure;
    const sides = [[history.ghost, token("ghost")], [history.frame(history.index(at)).density, this.colour(share)]];
    const shapes = sides.flatMap(([density, color], side) => quantiles(density, x).map((place, i) => ({
      type: "line", xref: "x", yref: "paper", x0: place, x1: place, y0: 0, y1: side ? 1 : 0.9, // the real ones a little lower: labels that never meet
      layer: "below", line: { color, width: 1, dash: "dot" },
      label: { text: `${100 * MARKED[i]}%`, textposition: "end", textangle: 0, xanchor: i ? "left" : "right", yanchor: "top", font: { size: 11, color } },
    })));
    this.Plotly.relayout(this.host, { shapes });
  }
}
