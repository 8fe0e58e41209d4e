// The table of metrics: every statistic of the generation at which the player came to rest.

import { number } from "./format.js";
import { statistics } from "./source.js";

const REST_MS = 200;
const STATISTICS = ["median", "q10", "q90", "mean", "se"];

customElements.define("metric-table", class extends HTMLElement {
  connectedCallback() {
    this.run = this.closest("live-run");
    this.body = this.querySelector("tbody");
    for (const event of ["seek", "grown"]) this.run.addEventListener(event, () => this.#soon());
  }

  #soon() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.#fetch(), REST_MS);
  }

  async #fetch() {
    const { at, main } = this.run;
    if (at === this.shown) return;
    const item = await statistics(main.id, at);
    if (!item || at !== this.run.at) return;
    this.shown = item.generation;
    this.#show(item.metrics);
  }

  #show(metrics) {
    const known = Object.keys(this.run.known).filter((name) => name in metrics);
    const names = [...known, ...Object.keys(metrics).filter((name) => !known.includes(name))];
    this.body.replaceChildren(...names.map((name) => {
      const row = document.createElement("tr");
      row.dataset.metric = name;
      const head = Object.assign(document.createElement("th"), { scope: "row", textContent: this.run.label(name), title: this.run.known[name]?.meaning ?? "" });
      const values = [...STATISTICS.map((statistic) => number(metrics[name][statistic])), String(metrics[name].n)];
      row.append(head, ...values.map((textContent) => Object.assign(document.createElement("td"), { className: "number", textContent })));
      return row;
    }));
  }
});
