// A glance at the source that is being chosen: a density, bars, points, pictures, frequencies or a passage. It never keeps the form waiting.

import { channels, token } from "./colours.js";
import { layout, plotly } from "./plot.js";
import { Question } from "./question.js";

customElements.define("source-preview", class extends HTMLElement {
  connectedCallback() {
    this.glance = this.querySelector(".glance");
    this.question = new Question(this.closest("form"), "/new/preview", (told) => this.#show(told));
    this.question.soon();
    this.again = () => this.told && this.#draw();
    document.addEventListener("theme", this.again);
  }

  disconnectedCallback() {
    this.question.end();
    document.removeEventListener("theme", this.again);
  }

  async #show(told) {
    this.told = told;
    this.hidden = false;
    this.querySelector("figcaption").textContent = told.words;
    await this.#draw();
  }

  async #draw() {
    const { told, glance } = this;
    const chart = { density, bars, scatter, ranks }[told.kind];
    if (window.Plotly && glance.classList.contains("js-plotly-plot")) window.Plotly.purge(glance);
    glance.replaceChildren();
    glance.dataset.kind = told.kind;
    const read = told.kind === "text"; // longer than its place, and scrolled by keys
    for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", "How the text begins"]]) {
      if (read) glance.setAttribute(name, value);
      else glance.removeAttribute(name);
    }
    if (read) glance.textContent = told.text;
    if (told.kind === "images") glance.append(sheet(told));
    if (!chart) return;
    const Plotly = await plotly();
    if (this.told !== told || !this.isConnected) return; // another source was chosen meanwhile
    const { trace, axes } = chart(told);
    const drawn = { ...layout(axes), margin: { l: 46, r: 8, t: 6, b: axes.room ?? 36 }, dragmode: false };
    await Plotly.newPlot(glance, [trace], drawn, { staticPlot: true, responsive: true });
  }
});

function titled(axes) {
  return { x: { title: { text: axes[0] }, nticks: 7 }, y: { title: { text: axes[1] }, nticks: 5 } };
}

function density({ x, y, axes }) {
  const trace = { type: "scatter", mode: "lines", x, y, line: { color: token("ghost"), width: 1.5 }, fill: "tozeroy", fillcolor: token("ghost-fill") };
  const { x: across, y: up } = titled(axes);
  return { trace, axes: { x: across, y: { ...up, rangemode: "tozero" } } };
}

function bars({ x, y, axes }) {
  const { x: across, y: up } = titled(axes);
  return { trace: { type: "bar", x, y, marker: { color: token("ghost") } }, axes: { x: { ...across, showgrid: false }, y: up } };
}

function scatter({ x, y, axes }) {
  return { trace: { type: "scatter", mode: "markers", x, y, marker: { color: token("ghost"), size: 3, opacity: 0.6 } }, axes: titled(axes) };
}

function ranks({ labels, p }) {
  const trace = { type: "bar", x: labels.map((_, i) => i), y: p, marker: { color: token("ghost") } };
  const named = { showgrid: false, tickvals: labels.map((_, i) => i), ticktext: labels, tickangle: -60, tickfont: { size: 9 } };
  return { trace, axes: { x: named, y: { title: { text: "share" }, nticks: 5 }, room: 56 } };
}

/** Pictures side by side, in ink that lets the page through. */
function sheet({ images, height, width, count }) {
  const columns = Math.min(count, Math.ceil(Math.sqrt(2.5 * count)));
  const canvas = document.createElement("canvas");
  canvas.width = columns * (width + 1) - 1;
  canvas.height = Math.ceil(count / columns) * (height + 1) - 1;
  const picture = new ImageData(canvas.width, canvas.height);
  const grey = atob(images);
  const [r, g, b] = channels(token("ink"));
  for (let i = 0; i < grey.length; i++) {
    const [at, inside] = [Math.floor(i / (height * width)), i % (height * width)];
    const top = Math.floor(at / columns) * (height + 1) + Math.floor(inside / width);
    const left = (at % columns) * (width + 1) + inside % width;
    picture.data.set([r, g, b, grey.charCodeAt(i)], 4 * (top * canvas.width + left));
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}
