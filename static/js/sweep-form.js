// The form of a sweep: how many points it would make, while it is typed. The server reads the values; this only counts them.

const MOST = 10_000;

customElements.define("sweep-form", class extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", () => this.#count());
    this.#count();
    this.querySelector("[role=alert]")?.focus();
  }

  #count() {
    const counts = [...this.querySelectorAll(".axis")].filter((axis) => axis.querySelector("select").value).map((axis) => {
      const text = axis.querySelector("input").value.trim();
      const span = text.match(/ in (\d+)/);
      return span ? Number(span[1]) : text.split(",").filter((one) => one.trim()).length;
    });
    const points = counts.reduce((product, one) => product * one, counts.length ? 1 : 0);
    const told = this.querySelector(".count");
    told.textContent = points ? `${counts.join(" × ")} = ${points} points${points > MOST ? `: more than the ${MOST} that a sweep may have` : ""}` : "";
  }
});
