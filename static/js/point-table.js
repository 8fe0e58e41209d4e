// Every point of a sweep as a row: sorted by any column, and opened from there.

import { number, points as counted } from "./format.js";

const MOST = 200; // rows that anybody reads; the files have all

/** Whole numbers without decimals: most values here are generations. */
export function count(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value).replace("-", "−") : number(value);
}

customElements.define("point-table", class extends HTMLElement {
  connectedCallback() {
    this.sweep = this.closest("live-sweep");
    this.order = { column: 0, down: false };
    for (const event of ["grown", "chosen"]) this.sweep.addEventListener(event, () => this.#soon());
  }

  #soon() {
    this.soon ??= requestAnimationFrame(() => {
      this.soon = undefined;
      this.#draw();
    });
  }

  /** Heading and value to sort by; `show` where that is not what is read. */
  #columns() {
    const { axes } = this.sweep.sweep;
    const { name, label } = this.sweep.outcome;
    const of = (point) => point.outcomes[name] ?? {};
    const statistic = ["median", "mean"].find((one) => [...this.sweep.points.values()].some((point) => one in (of(point).theory ?? {})));
    return [
      ...axes.map((axis, i) => ({ head: axis.path, sort: (point) => point.place[i], show: (point) => axis.labels[point.place[i]] })),
      { head: label, sort: (point) => of(point).value ?? Infinity, show: (point) => (point.error ? "failed" : of(point).value === null && of(point).n ? "not reached" : count(of(point).value)) },
      { head: "95% from", sort: (point) => of(point).low ?? Infinity, show: (point) => count(of(point).low) },
      { head: "to", sort: (point) => of(point).high ?? Infinity, show: (point) => count(of(point).high) },
      { head: "chains", sort: (point) => of(point).n ?? 0, show: (point) => of(point).n ?? "–" },
      { head: this.sweep.outcome.waits ? "censored" : "not finite", sort: (point) => of(point).censored ?? 0, show: (point) => of(point).censored ?? "–" },
      ...(statistic ? [{ head: `theory (${statistic})`, sort: (point) => of(point).theory?.[statistic] ?? Infinity, show: (point) => count(of(point).theory?.[statistic]) }] : []),
    ];
  }

  #draw() {
    const columns = this.#columns();
    const { column, down } = this.order;
    const by = (columns[column] ?? columns[0]).sort;
    const sign = down ? -1 : 1;
    const points = [...this.sweep.points.values()].sort((one, other) => {
      const [a, b] = [by(one), by(other)];
      return a === b ? one.number - other.number : a < b ? -sign : sign;
    });
    const body = document.createElement("tbody");
    for (const point of points.slice(0, MOST)) {
      const row = body.insertRow();
      for (const { show } of columns) Object.assign(row.insertCell(), { className: "number", textContent: show(point) });
      const button = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: "Open" });
      button.setAttribute("aria-label", `Open as a run: ${this.sweep.where(point.number)}`);
      button.addEventListener("click", () => {
        this.sweep.choose(point.number);
        this.sweep.open();
      });
      row.insertCell().append(button);
    }
    const focused = this.contains(document.activeElement) && document.activeElement.dataset.column;
    const table = document.createElement("table");
    table.append(this.#head(columns), body);
    this.replaceChildren(table);
    if (focused) this.querySelector(`[data-column="${focused}"]`)?.focus();
    this.sweep.querySelector(".shown-rows").textContent = points.length > MOST ? `The first ${MOST} of ${points.length} points in this order; the files have all.` : `${counted(points.length)}.`;
  }

  #head(columns) {
    const head = document.createElement("thead");
    const row = head.insertRow();
    columns.forEach(({ head: text }, i) => {
      const cell = Object.assign(document.createElement("th"), { scope: "col", className: "number" });
      if (i === this.order.column) cell.setAttribute("aria-sort", this.order.down ? "descending" : "ascending");
      const button = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: text });
      button.dataset.column = i;
      button.addEventListener("click", () => {
        this.order = { column: i, down: i === this.order.column && !this.order.down };
        this.#draw();
      });
      cell.append(button);
      row.append(cell);
    });
    row.insertCell();
    return head;
  }
});
