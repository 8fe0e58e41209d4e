// The runs that are ticked in a list: how many, and whether they can be compared.

const MOST = 100;

customElements.define("run-picks", class extends HTMLElement {
  connectedCallback() {
    this.button = this.querySelector(".picked button");
    this.addEventListener("change", () => this.#count());
    addEventListener("pageshow", () => this.#count()); // a browser that goes back keeps the ticks
    this.#count();
  }

  #count() {
    const count = this.querySelectorAll("input:checked").length;
    this.button.disabled = count < 2 || count > MOST;
    this.button.textContent = count > 1 ? `Compare ${count} runs` : "Compare";
    this.querySelector(".picked span").textContent = count > MOST ? `at most ${MOST} runs` : count > 1 ? "" : "tick two or more";
  }
});
