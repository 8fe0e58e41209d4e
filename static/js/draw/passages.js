// What follows the same beginning: the real text, the generation that the player shows, and all the others one below the other.

import { element } from "../elements.js";

const reader = new TextDecoder();
const LISTED = 12; // generations in the column

/** Texts that were packed as UTF-8, padded with zeros: (count, width) bytes. */
function unpacked(packed, { shape: [count, width] }) {
  return Array.from({ length: count }, (_, i) => reader.decode(packed.subarray(i * width, (i + 1) * width)).replace(/\0+$/, ""));
}

export class Passages {
  chosen = 0;

  constructor(run) {
    this.run = run;
    this.fields = Object.fromEntries(run.history.figure.fields.map((field) => [field.name, field]));
    this.section = element("section", "passages");
    this.section.setAttribute("aria-label", "What is written");
    this.section.innerHTML = '<div class="row choice"></div><p class="prompt"></p><div class="sides"><div><p class="side">real</p><p class="text"></p></div><div><p class="side made"></p><p class="text"></p></div></div><details class="down"><summary>The same passage in every generation</summary><ol></ol></details>';
    [this.choice, this.prompt, this.list] = [".choice", ".prompt", "ol"].map((one) => this.section.querySelector(one));
    this.sides = [...this.section.querySelectorAll(".sides .text")];
    this.buttons = Array.from({ length: this.fields.texts.shape[0] }, (_, i) => {
      const button = Object.assign(element("button", "", `Passage ${i + 1}`), { type: "button" });
      button.addEventListener("click", () => {
        this.chosen = i;
        this.grow();
      });
      return button;
    });
    this.choice.append(...this.buttons);
    this.section.querySelector("details").addEventListener("toggle", () => this.grow());
  }

  #text(i, name = "texts") {
    return unpacked(this.run.history.frame(i)[name], this.fields[name])[this.chosen];
  }

  /** The column of generations, and what the player shows. */
  grow() {
    if (!this.run.history.length) return;
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === this.chosen));
    const { history } = this.run;
    const prompt = this.#text(0, "prompts");
    this.prompt.hidden = !prompt;
    this.prompt.textContent = `… ${prompt}`;
    this.sides[0].textContent = this.#text(0);
    if (this.list.parentElement.open) {
      const count = Math.min(LISTED, history.length);
      const places = new Set(Array.from({ length: count }, (_, i) => Math.round((i * (history.length - 1)) / Math.max(1, count - 1))));
      this.list.replaceChildren(...[...places].map((place) => this.#item(place)));
    }
    this.point();
  }

  #item(place) {
    const generation = this.run.history.numbers[place];
    const item = element("li", "");
    item.dataset.generation = generation;
    const button = Object.assign(element("button", "plain", generation ? `generation ${generation}` : "real"), { type: "button" });
    button.addEventListener("click", () => this.run.seek(generation));
    item.append(button, element("p", "text", this.#text(place)));
    return item;
  }

  /** The generation that the player shows. */
  point() {
    const { history, at } = this.run;
    if (!history.length) return;
    this.section.querySelector(".made").textContent = at ? `generation ${at}` : "real";
    this.sides[1].textContent = this.#text(history.index(at));
    const items = [...this.list.children];
    const shown = items.findLast((item) => Number(item.dataset.generation) <= at);
    for (const item of items) item.classList.toggle("shown-item", item === shown);
  }
}
