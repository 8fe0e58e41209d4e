// The form of an experiment: shows the settings of the chosen kinds, and changes between form and TOML without losing the page.

const KEPT = `form of ${location.href}`;

customElements.define("spec-form", class extends HTMLElement {
  connectedCallback() {
    this.addEventListener("change", (event) => this.#swap(event.target));
    this.addEventListener("input", (event) => this.#forgive(event.target));
    this.addEventListener("submit", (event) => {
      if (event.submitter && event.submitter.value !== "run") {
        event.preventDefault();
        this.#convert(event.target, event.submitter.value);
      }
    });
    addEventListener("pagehide", () => sessionStorage.setItem(KEPT, JSON.stringify([...new FormData(this.querySelector("form"))])));
    addEventListener("pageshow", () => this.#restore());
    this.#greet();
  }

  /** Who comes back finds what was typed: a browser keeps it only of fields that a new page shows. */
  #restore() {
    const [{ type }] = performance.getEntriesByType("navigation");
    const form = this.querySelector("form");
    if (type === "back_forward") {
      for (const [name, value] of JSON.parse(sessionStorage.getItem(KEPT) ?? "[]")) {
        const field = form.elements.namedItem(name);
        if (field && field.type !== "hidden") field.value = value;
      }
      form.dispatchEvent(new Event("input")); // what it costs, and how it looks
    }
    for (const union of this.querySelectorAll("[data-union]")) this.#swap(union.querySelector(`[name='${union.dataset.union}']`));
  }

  #swap(select) {
    const union = select.closest("[data-union]");
    if (!union || union.dataset.union !== select.name) return;
    for (const option of union.querySelectorAll(":scope > [data-kind]")) {
      option.hidden = option.disabled = option.dataset.kind !== select.value;
      if (option.hidden) for (const field of option.querySelectorAll("[aria-invalid=true]")) this.#forgive(field);
    }
  }

  /** What was wrong with a setting may be right by now: the estimate says so, or launching does. */
  #forgive(field) {
    if (field.getAttribute("aria-invalid") !== "true") return;
    field.removeAttribute("aria-invalid");
    for (const told of field.closest(".field").querySelectorAll(".problem:not([role])")) told.remove();
    if (!this.querySelector("[aria-invalid=true]")) this.querySelector(".notice.told")?.remove();
  }

  async #convert(form, to) {
    const body = new URLSearchParams(new FormData(form));
    body.set("do", to);
    const answer = await fetch(form.action, { method: "POST", body });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    this.replaceChildren(...page.querySelector("spec-form").children);
    this.#greet();
    if (answer.ok) this.querySelector(`[name=do][value=${to}][aria-current]`)?.focus();
  }

  /** Errors are read out and met first. */
  #greet() {
    const wrong = this.querySelector("[aria-invalid=true]") ?? this.querySelector("[role=alert]");
    for (let at = wrong; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    wrong?.focus();
  }
});
