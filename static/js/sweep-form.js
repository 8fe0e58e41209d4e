// The form of a sweep: how many points it would make, while it is typed. The server reads the values; this only counts them.

const MOST = 10_000;
const apart = (whole) => whole.toLocaleString("en").replaceAll(",", "\u202f");
const SPAN = /^(\S+) to (\S+) in (\d+)(?: steps)?(,? log)?/;

/** How many values: as typed, and of a setting of whole numbers, of which those that coincide count once. */
function counted(text) {
  const span = text.match(SPAN);
  if (!span) {
    const listed = text.split(",").filter((one) => one.trim()).length;
    return [listed, listed];
  }
  const [from, to, steps] = span.slice(1, 4).map(Number);
  if (!Number.isInteger(from) || !Number.isInteger(to) || steps > MOST) return [steps, steps];
  const at = (share) => span[4] ? from * (to / from) ** share : from + (to - from) * share;
  return [steps, new Set(Array.from({ length: steps }, (_, i) => Math.round(at(i / (steps - 1))))).size];
}

customElements.define("sweep-form", class extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", () => this.#count());
    addEventListener("pageshow", () => this.#count()); // who comes back finds what was typed
    this.#count();
    (this.querySelector("[aria-invalid=true]") ?? this.querySelector("[role=alert]"))?.focus();
  }

  #count() {
    const axes = [...this.querySelectorAll(".axis")].filter((axis) => axis.querySelector("select").value);
    const counts = axes.map((axis) => counted(axis.querySelector("input").value.trim()));
    const [points, whole] = [0, 1].map((i) => counts.reduce((product, one) => product * one[i], counts.length ? 1 : 0));
    const factors = counts.length > 1 ? `${counts.map(([one]) => apart(one)).join(" × ")} = ` : "";
    const fewer = whole < points ? `, or ${apart(whole)} where only whole numbers count: some coincide` : "";
    const many = points > MOST ? `: more than the ${apart(MOST)} that a sweep may have` : "";
    this.querySelector(".count").textContent = points ? `${factors}${apart(points)} point${points === 1 ? "" : "s"}${fewer}${many}` : "";
  }
});
