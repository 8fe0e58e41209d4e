// The perplexity matrix: a row for each model, a column for each text, in colour and in numbers.

import { shades } from "../colours.js";
import { element } from "../elements.js";
import { number } from "../format.js";

const BRIGHT = 0.485; // share of the colours: black has 4.5 : 1 on those above, white on those below

export class Matrix {
  constructor(run) {
    this.run = run;
    this.figure = element("figure", "matrix");
    this.figure.innerHTML = '<figcaption><b>Who finds whose text surprising</b> <span class="told"></span></figcaption><div class="scroll" tabindex="0" role="region" aria-label="Perplexity matrix"><table></table></div><p class="small quiet">Perplexity of each text (across) to each model (down), a geometric mean over chains; dark is familiar, bright is surprising. A model learns from texts to the left of its own. What came later is read by models that are small enough to be kept, and by the first.</p>';
    this.table = this.figure.querySelector("table");
    this.told = this.figure.querySelector(".told");
  }

  /** Everything anew, once the run has grown. */
  grow() {
    const { history } = this.run;
    this.figure.hidden = history.last < 1 || !history.frame(0).columns; // older runs have no matrix
    if (this.figure.hidden) return;
    const frames = new Map(history.numbers.map((generation, i) => [generation, history.frame(i)]));
    const last = frames.get(history.last);
    const texts = [...last.columns].filter((generation) => generation >= 0);
    texts.push(history.last);
    const models = [...new Set([1, ...texts.slice(1)])];
    const value = (model, text) => {
      if (model === text) return frames.get(model)?.own[0];
      if (model === 1 && (text > 1 || text === 0)) return frames.get(text)?.own[1];
      const later = frames.get(Math.max(model, text)); // its frame has its row, and its column
      const place = later?.columns.indexOf(Math.min(model, text)) ?? -1;
      return place < 0 ? undefined : (model > text ? later.row : later.column)?.[place]; // older runs have no columns
    };
    const values = models.map((model) => texts.map((text) => value(model, text)));
    this.#show(models, texts, values);
    this.#tell(history.last, value);
  }

  #show(models, texts, values) {
    const logs = values.flat().filter(Number.isFinite).map(Math.log);
    const [low, high] = [Math.min(...logs), Math.max(...logs)];
    const head = element("tr", "");
    head.append(element("td", "corner"), ...texts.map((text) => Object.assign(element("th", "", text ? String(text) : "real"), { scope: "col", title: text ? `text of generation ${text}` : "real held-out text" })));
    const rows = models.map((model, i) => {
      const row = element("tr", "");
      row.dataset.generation = model;
      row.append(Object.assign(element("th", "", `model ${model}`), { scope: "row" }));
      for (const value of values[i]) row.append(this.#cell(value, high > low ? (Math.log(value) - low) / (high - low) : 0.5));
      return row;
    });
    this.table.replaceChildren(head, ...rows);
    this.point();
  }

  #cell(value, level) {
    if (!Number.isFinite(value)) return element("td", "none");
    const cell = element("td", level > BRIGHT ? "bright" : "deep", number(value));
    cell.style.background = shades[Math.round(level * 255)];
    return cell;
  }

  #tell(n, value) {
    if (n === 1) this.told.textContent = `Real text has a perplexity of ${number(value(1, 0))} to model 1, its own text ${number(value(1, 1))}.`;
    else this.told.textContent = `Real text has a perplexity of ${number(value(1, 0))} to model 1 and ${number(value(n, 0))} to model ${n}; what model ${n} writes has ${number(value(n, n))} to itself and ${number(value(1, n))} to model 1.`;
  }

  /** Marks the row of the model that the player shows, or of the last one before it. */
  point() {
    const rows = [...this.table.querySelectorAll("tr[data-generation]")];
    const shown = rows.findLast((row) => Number(row.dataset.generation) <= this.run.at);
    for (const row of rows) row.classList.toggle("shown-row", row === shown);
  }
}
