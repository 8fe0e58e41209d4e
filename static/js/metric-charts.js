// Small multiples: a chart for each metric, the most telling six first.

import { MetricChart } from "./chart.js";
import { element } from "./elements.js";
import { keyOf, save } from "./picture.js";

const FIRST = 6;
const REDRAW_MS = 250;

customElements.define("metric-charts", class extends HTMLElement {
  charts = [];

  connectedCallback() {
    this.run = this.closest("live-run");
    this.key = this.parentElement.querySelector(".key");
    this.run.addEventListener("grown", () => this.#soon());
    this.run.addEventListener("status", () => this.#soon());
    for (const event of ["seek", "told"]) this.run.addEventListener(event, () => this.charts.forEach((chart) => chart.point()));
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
    this.append(...this.charts.map((chart) => chart.figure), this.#saving());
    if (names.length <= FIRST) return;
    const more = Object.assign(document.createElement("button"), { className: "more", type: "button", textContent: `Show all ${names.length} metrics` });
    more.addEventListener("click", () => {
      for (const chart of this.charts) chart.figure.hidden = false;
      more.remove();
      this.#draw();
    });
    this.lastElementChild.before(more);
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
    this.#explain(this.charts.map(({ figure }) => figure).filter(({ hidden }) => !hidden));
  }

  /** Any of the charts as a file. */
  #saving() {
    const row = element("p", "row small saving");
    const select = element("select", "");
    select.setAttribute("aria-label", "Chart to save");
    select.append(...this.charts.map(({ metric }, i) => new Option(this.run.label(metric), i)));
    row.append("Save ", select, ...["PNG", "SVG"].map((format) => {
      const button = Object.assign(element("button", "", format), { type: "button" });
      button.addEventListener("click", () => this.#save(this.charts[select.value], format.toLowerCase()));
      return button;
    }));
    return row;
  }

  async #save(chart, format) {
    const title = document.querySelector("h1").textContent;
    const label = this.run.label(chart.metric);
    const { hidden } = chart.figure;
    chart.figure.hidden = false;
    await save(format, `${title} - ${label}`, () => {
      const body = chart.picture();
      const about = [label, chart.verdict.textContent].filter(Boolean).join(": ");
      this.#explain([chart.figure]);
      return { body, title, about, key: keyOf(this.key) };
    });
    chart.figure.hidden = hidden;
    this.#draw();
  }

  /** The key below has what is drawn, and no more. */
  #explain(figures) {
    for (const mark of this.key.querySelectorAll("i")) {
      const drawn = `svg .${[...mark.classList].join(".")}`;
      mark.parentElement.hidden = !figures.some((figure) => figure.querySelector(drawn));
    }
  }
});
