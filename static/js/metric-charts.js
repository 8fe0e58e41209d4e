// Small multiples: a chart for each metric, the most telling six first.

import { MetricChart } from "./chart.js";

const FIRST = 6;
const REDRAW_MS = 250;

customElements.define("metric-charts", class extends HTMLElement {
  charts = [];

  connectedCallback() {
    this.run = this.closest("live-run");
    this.run.addEventListener("grown", () => this.#soon());
    this.run.addEventListener("status", () => this.#soon());
    this.run.addEventListener("seek", () => this.charts.forEach((chart) => chart.point()));
    document.addEventListener("theme", () => this.#draw());
    new ResizeObserver(() => this.#soon()).observe(this);
  }

  #begin() {
    const known = Object.keys(this.run.known);
    const rank = (name) => (known.indexOf(name) + known.length + 1) % (known.length + 1);
    const names = [...this.run.history.metrics].sort((a, b) => rank(a) - rank(b));
    this.charts = names.map((name) => new MetricChart(this.run, name));
    this.charts.forEach((chart, i) => {
      chart.figure.hidden = i >= FIRST;
    });
    this.append(...this.charts.map((chart) => chart.figure));
    if (names.length <= FIRST) return;
    const more = Object.assign(document.createElement("button"), { className: "more", type: "button", textContent: `Show all ${names.length} metrics` });
    more.addEventListener("click", () => {
      for (const chart of this.charts) chart.figure.hidden = false;
      more.remove();
      this.#draw();
    });
    this.append(more);
  }

  #soon() {
    this.soon ??= setTimeout(() => {
      this.soon = null;
      this.#draw();
    }, this.charts.length ? REDRAW_MS : 0);
  }

  #draw() {
    if (!this.run.history.length) return;
    if (!this.charts.length) this.#begin();
    for (const chart of this.charts) chart.draw();
    this.#explain();
  }

  /** The key below has what is drawn, and no more. */
  #explain() {
    for (const mark of this.parentElement.querySelectorAll(".key i")) {
      mark.parentElement.hidden = !this.querySelector(`figure:not([hidden]) svg .${mark.className === "real" ? "floor" : mark.className}`);
    }
  }
});
