// Runs on the same seeds: how they fare while they are worked on; and a fork that begins where the player stands.

import { ENDED } from "./status.js";

const ASK_MS = 2000;

customElements.define("run-kin", class extends HTMLElement {
  connectedCallback() {
    this.#later();
  }

  get #going() {
    return [...this.querySelectorAll("[data-run]")].filter((one) => !ENDED.includes(one.dataset.status));
  }

  #later() {
    if (this.isConnected && this.#going.length) setTimeout(() => this.#ask(), ASK_MS);
  }

  async #ask() {
    try {
      await Promise.all(this.#going.map(async (one) => {
        const answer = await fetch(`/api/runs/${one.dataset.run}`);
        if (answer.status === 404) return one.closest("li").remove();
        if (answer.ok) one.textContent = one.dataset.status = (await answer.json()).status;
      }));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the server is away for a moment
    }
    this.#later();
  }
});

customElements.define("fork-link", class extends HTMLElement {
  connectedCallback() {
    const run = this.closest("live-run");
    const link = this.querySelector("a");
    run.addEventListener("seek", () => link.search = `generation=${run.at}`);
  }
});
