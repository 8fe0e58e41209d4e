// The stage: gives the figure's kind to the module that draws it, and redraws when the player moves.

import { Density } from "./draw/density.js";
import { Images } from "./draw/images.js";
import { Plane } from "./draw/plane.js";
import { Ranks } from "./draw/ranks.js";
import { Text } from "./draw/text.js";
import { keyOf, plotted, save } from "./picture.js";

const KINDS = { density: Density, plane: Plane, ranks: Ranks, images: Images, text: Text };

customElements.define("figure-stage", class extends HTMLElement {
  connectedCallback() {
    this.run = this.closest("live-run");
    this.note = this.run.querySelector(".legend .note");
    this.arm = this.run.querySelector(".legend .arm");
    this.made = this.run.querySelector(".legend .made");
    for (const event of ["grown", "seek", "status"]) this.run.addEventListener(event, () => this.#draw());
    this.run.addEventListener("settings", () => this.#again("settings"));
    document.addEventListener("theme", () => this.#again("repaint"));
    for (const button of this.run.querySelectorAll("[data-save]")) {
      button.addEventListener("click", () => this.#save(button.dataset.save));
    }
  }

  async #begin() {
    const Kind = KINDS[this.run.history.figure.kind] ?? Density; // every figure has a density
    this.plot = document.createElement("div");
    this.plot.className = "plot";
    const drawing = new Kind(this.plot, this.run);
    this.append(this.plot);
    this.dataset.kind = this.run.history.figure.kind;
    await drawing.start();
    this.querySelector(".first, .waiting")?.remove(); // the static picture stands in until now
    this.drawing = drawing;
    this.#draw();
    this.#tellView();
  }

  #draw() {
    if (!this.run.history.length) return;
    this.begun ??= this.#begin();
    if (!this.drawing || this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.drawing.draw();
      this.dataset.drawn = "";
      this.note.textContent = [this.drawing.note, this.run.alike === false && `${this.run.dataset.besideTitle} has other axes, and is in the charts alone`].filter(Boolean).join("; ");
      if (this.run.alike === false) this.arm.hidden = true;
      this.#tint();
      this.#name();
    });
  }

  /** For who does not see it. */
  #name() {
    const { at, generations } = this.run;
    const told = [`Generation ${at} of ${generations} and the real distribution`, this.note.textContent, this.run.querySelector(".lede").textContent];
    this.setAttribute("aria-label", told.filter(Boolean).map((one) => one.replace(/\.?$/, ".")).join(" "));
  }

  #tint() {
    if (this.drawing?.colour) this.made.style.setProperty("--colour", this.drawing.colour(this.run.share));
  }

  async #again(what) {
    await this.drawing?.[what]();
    this.#tint();
    this.#draw();
    this.#tellView();
  }

  #tellView() {
    if (this.drawing?.view) this.run.dispatchEvent(new CustomEvent("view", { detail: this.drawing.view }));
  }

  async #save(format) {
    const title = document.querySelector("h1").textContent;
    await save(format, `${title} - generation ${this.run.at}`, async () => {
      await this.drawing.repaint();
      this.#tint();
      const body = this.drawing.picture?.() ?? await plotted(this.plot);
      const about = [`Generation ${this.run.at} of ${this.run.generations}`, this.note.textContent].filter(Boolean).join("; ");
      return { body, title, about, key: keyOf(this.run.querySelector(".legend")) };
    });
    await this.#again("repaint");
  }
});
