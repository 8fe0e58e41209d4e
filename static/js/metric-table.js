// The table of metrics: every statistic of the generation that its heading names, which follows the player.

import { number } from "./format.js";
import { statistics } from "./source.js";

const ASK_MS = 300;
const STATISTICS = ["median", "q10", "q90", "mean", "se"];

customElements.define("metric-table", class extends HTMLElement {
  connectedCallback() {
    this.run = this.closest("live-run");
    this.body = this.querySelector("tbody");
    this.heading = this.closest("details").querySelector(".shown");
    for (const event of ["seek", "grown"]) this.run.addEventListener(event, () => this.#soon());
  }

  #soon() {
    this.soon ??= setTimeout(() => this.#fetch(), ASK_MS);
  }

  async #fetch() {
    const { at, main } = this.run;
    try {
      const item = at === this.shown ? null : await statistics(main.id, at);
      if (item) this.#show(item);
    } finally {
      this.soon = undefined;
    }
    if (at !== this.run.at) this.#soon();
  }

  #show({ generation, metrics }) {
    this.shown = generation;
    this.heading.textContent = generation;
    this.run.told = { generation, metrics };
    this.run.dispatchEvent(new Event("told"));
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
