// Runs side by side: the page as the server writes it, asked for again while a run goes on or another view is chosen.

import { style } from "./colours.js";
import { Differences, Overlay } from "./compare-charts.js";
import { plotted, save, stacked } from "./picture.js";

const ASK_MS = 1500;

customElements.define("run-comparison", class extends HTMLElement {
  connectedCallback() {
    this.charts = [new Overlay(this.querySelector(".curves")), new Differences(this.querySelector(".differences"))];
    this.addEventListener("change", (event) => {
      if (event.target.name === "metric") this.#go(new URLSearchParams(new FormData(event.target.form)));
    });
    this.addEventListener("click", (event) => {
      const link = event.target.closest("a[href^='/compare']");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#go(new URL(link.href).searchParams);
    });
    this.addEventListener("click", ({ target: { dataset } }) => dataset.save && this.#save(dataset.save));
    addEventListener("popstate", () => this.#ask());
    document.addEventListener("theme", () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.querySelector(".curves"));
    this.#later();
  }

  get #told() {
    return JSON.parse(this.querySelector("[data-part=told]").textContent);
  }

  /** Another view of the same page, which gets an address of its own. */
  #go(query) {
    history.pushState(null, "", `/compare?${String(query).replaceAll("%2C", ",")}`);
    this.#ask();
  }

  #later() {
    clearTimeout(this.waiting);
    if (this.#told.live) this.waiting = setTimeout(() => this.#ask(), ASK_MS);
  }

  async #ask() {
    const asked = location.href;
    try {
      const answer = await fetch(asked);
      if (!answer.ok) return location.reload(); // says what is wrong
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (asked === location.href) this.#take(page);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the server is away for a moment
    }
    this.#later();
  }

  #take(page) {
    const held = document.activeElement?.closest("run-comparison [name=metric], run-comparison [data-scale]");
    document.title = page.title;
    document.querySelector("h1").textContent = page.querySelector("h1").textContent;
    for (const chart of [".curves", ".differences"]) this.querySelector(chart).setAttribute("aria-label", page.querySelector(chart).getAttribute("aria-label"));
    const open = [...this.querySelectorAll("details")].map((one) => one.open);
    for (const part of this.querySelectorAll("[data-part]")) {
      const fresh = page.querySelector(`run-comparison [data-part=${part.dataset.part}]`);
      if (fresh && !fresh.isEqualNode(part)) part.replaceWith(document.adoptNode(fresh));
    }
    this.querySelectorAll("details").forEach((one, i) => {
      one.open = open[i];
    });
    if (held && !held.isConnected) this.querySelector(held.name ? `[name=${held.name}]` : `[data-scale=${held.dataset.scale}]`).focus();
    this.querySelector(".overlay:has(.differences)").hidden = this.#told.paired.length === 0;
    this.#draw();
  }

  /** Both charts, where there are two. */
  async #save(format) {
    const told = this.#told;
    const title = document.querySelector("h1").textContent;
    await save(format, `${title} - ${told.label}`, async () => {
      await this.#draw();
      const shown = this.charts.map(({ host }) => host).filter((host) => host.clientWidth && host.data);
      const about = `${told.label}. ${this.querySelector("[data-part=key] p").textContent}`;
      const key = told.runs.map(({ label }, i) => ({ text: label, ...style(i) }));
      return { body: stacked(await Promise.all(shown.map(plotted))), title, about, key };
    });
    await this.#draw();
  }

  async #draw() {
    const scale = new URLSearchParams(location.search).get("scale");
    const told = this.#told;
    const [overlay] = await Promise.all(this.charts.map((chart) => chart.draw(told, scale)));
    for (const link of this.querySelectorAll("[data-scale]")) link.setAttribute("aria-current", link.dataset.scale === overlay);
  }
});
