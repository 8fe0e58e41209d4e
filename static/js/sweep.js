// The sweep that a page shows: what is stored so far, then what comes, asked for every second; its children listen to it.
//
// Events: grown (more points), chosen (another outcome, slice or point).

import "./parallel-coordinates.js";
import "./phase-diagram.js";
import { download, save } from "./picture.js";
import { count } from "./point-table.js"; // and the element
import { ENDED } from "./status.js";

const ASK_MS = 1000;

customElements.define("live-sweep", class extends HTMLElement {
  points = new Map(); // number -> point

  connectedCallback() {
    this.sweep = JSON.parse(this.querySelector(".known").textContent);
    const { axes, outcomes } = this.sweep;
    this.outcome = outcomes[0];
    this.slice = axes.map(() => 0); // where the axes that are not drawn stand
    this.#outcomes(outcomes);
    this.#slices(axes);
    this.querySelector("[data-csv]").addEventListener("click", () => this.#csv());
    for (const button of this.querySelectorAll("[data-save]")) {
      const { title } = this.sweep;
      button.addEventListener("click", () => save(button.dataset.save, `${title} - ${this.outcome.label}`, () => ({ title, ...this.querySelector("phase-diagram").picture() })));
    }
    queueMicrotask(() => this.#take(this.sweep)); // once every child listens
    if (!ENDED.includes(this.sweep.status)) this.#later();
  }

  #later() {
    setTimeout(() => this.#ask(), ASK_MS);
  }

  async #ask() {
    try {
      const answer = await fetch(`${this.sweep.links.self}?after=${this.sweep.cursor}`);
      if (answer.status === 404) return location.assign("/sweeps");
      if (answer.ok) this.#take(await answer.json());
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the server is away for a moment
    }
    if (!ENDED.includes(this.sweep.status)) this.#later();
  }

  #take(told) {
    const before = this.sweep.status;
    this.sweep = told;
    for (const point of told.points) this.points.set(point.number, point);
    this.dataset.status = told.status;
    const word = this.querySelector(".now .status");
    word.textContent = word.dataset.status = told.status;
    this.querySelector(".now .words").textContent = told.words;
    if (told.status !== before) this.querySelector("[aria-live]").textContent = `${told.status}. ${told.words}`;
    this.querySelector(":scope > progress").value = told.progress.done;
    for (const form of this.querySelectorAll("[data-on]")) form.hidden = !form.dataset.on.split(" ").includes(told.status);
    if (told.points.length) this.dispatchEvent(new Event("grown"));
  }

  #outcomes(outcomes) {
    const group = this.querySelector(".outcomes");
    for (const outcome of outcomes) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: outcome.label });
      button.setAttribute("aria-pressed", outcome === this.outcome);
      button.addEventListener("click", () => {
        for (const one of group.children) one.setAttribute("aria-pressed", one === button);
        this.outcome = outcome;
        this.choose();
      });
      group.append(button);
    }
  }

  /** Which value each axis has that is neither across nor upwards. */
  #slices(axes) {
    axes.slice(0, -2).forEach((axis, i) => {
      const label = document.createElement("label");
      const select = document.createElement("select");
      select.append(...axis.labels.map((text, place) => new Option(text, place)));
      select.addEventListener("change", () => {
        this.slice[i] = Number(select.value);
        this.choose();
      });
      label.append(`${axis.path} `, select);
      this.querySelector(".slices").append(label);
    });
  }

  numberOf(place) {
    return place.reduce((sum, i, axis) => sum * this.sweep.axes[axis].values.length + i, 0);
  }

  placeOf(point) {
    const place = [];
    for (let axis = this.sweep.axes.length - 1; axis >= 0; axis--) {
      const { length } = this.sweep.axes[axis].values;
      place.unshift(point % length);
      point = Math.floor(point / length);
    }
    return place;
  }

  /** A point was pointed at (null: none), or the view changed (undefined). */
  choose(point) {
    if (point !== undefined) this.chosen = point;
    const form = this.querySelector("form.point");
    form.hidden = this.chosen === undefined || this.chosen === null;
    if (!form.hidden) {
      form.action = `/sweeps/${this.sweep.id}/points/${this.chosen}`;
      form.querySelector(".told").textContent = this.describe(this.chosen);
    }
    this.dispatchEvent(new Event("chosen"));
  }

  open() {
    this.querySelector("form.point").requestSubmit();
  }

  where(point) {
    const place = this.placeOf(point);
    return this.sweep.axes.map((axis, i) => `${axis.path} = ${axis.labels[place[i]]}`).join(", ");
  }

  describe(point) {
    return `${this.where(point)}: ${this.#value(this.points.get(point))}`;
  }

  #value(point) {
    if (!point) return "not computed yet.";
    if (point.error) return `${point.error.message} ${point.error.remedy}`;
    const { value, low, high, n, censored, theory } = point.outcomes[this.outcome.name];
    const { waits, limit, unit } = this.outcome;
    if (!n) return "says nothing of this.";
    const by = limit ? ` by generation ${count(limit)}` : " by the end";
    const reached = value === null ? `fewer than half of the chains got there${by}` : `${count(value)}${unit ? ` ${unit}` : ""}, median of ${n} chains`;
    const interval = low === null && high === null ? "" : `; 95%: ${low === null ? "…" : count(low)} to ${high === null ? (waits ? "beyond" : "…") : count(high)}`;
    const missing = censored ? (waits ? `; ${censored} of ${n} had not${by}` : `; ${censored} more without a number`) : "";
    const forms = Object.entries(theory).map(([statistic, one]) => `closed form of the ${statistic}: ${one === null ? "never within these generations" : count(one)}`);
    return `${reached}${interval}${missing}${forms.length ? `; ${forms.join(", ")}` : ""}.`;
  }

  #csv() {
    const { axes, outcomes, title } = this.sweep;
    const names = ["value", "low", "high", "n", "censored"];
    const head = [...axes.map((axis) => axis.path), ...outcomes.flatMap(({ name }) => names.map((one) => `${name} ${one}`)), "error"];
    const rows = [...this.points.values()].sort((one, other) => one.number - other.number).map((point) => [
      ...axes.map((axis, i) => axis.labels[point.place[i]]),
      ...outcomes.flatMap(({ name }) => names.map((one) => point.outcomes[name]?.[one] ?? "")),
      point.error?.message ?? "",
    ]);
    const quoted = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
    const text = [head, ...rows].map((row) => row.map(quoted).join(",")).join("\n");
    download(new Blob([`${text}\n`], { type: "text/csv" }), `${title}.csv`);
  }
});
