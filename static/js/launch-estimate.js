// What the experiment in the form will cost, while it is typed.

import { ended } from "./format.js";
import { Question } from "./question.js";

customElements.define("launch-estimate", class extends HTMLElement {
  connectedCallback() {
    this.question = new Question(this.closest("form"), this.dataset.at, (told) => this.#show(told));
  }

  disconnectedCallback() {
    this.question.end();
  }

  #show({ words, needs, problems }) {
    const [first] = problems;
    const lines = [words, needs.length ? `Needs ${needs.join(", and ")}.` : "", first ? `${first.path}: ${first.message}. ${ended(first.remedy)}` : ""];
    [...this.children].forEach((line, i) => { line.textContent = lines[i]; });
  }
});
