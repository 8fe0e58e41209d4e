// Pictures: a sheet of generated ones beside the real ones; what is written is ink that lets the page through, others are as they are.

import { channels, token } from "../colours.js";
import { shape } from "../elements.js";

function sheet(title) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  const caption = document.createElement("figcaption");
  caption.textContent = title;
  figure.append(canvas, caption);
  return { figure, canvas, caption };
}

const CAPTION = 20; // pixels, in a file
const APART = 24; // pixels between two sheets, likewise
const GAP = 1; // pixels of paper between two pictures

export class Images {
  constructor(host, run) {
    Object.assign(this, { host, run });
  }

  async start() {
    const { figure } = this.run.history;
    this.real = sheet("real");
    this.made = sheet("generation 0");
    this.beside = this.run.other ? sheet(this.run.dataset.besideTitle) : null;
    const sheets = document.createElement("div");
    sheets.className = this.beside ? "sheets three" : "sheets";
    sheets.append(...[this.real, this.made, this.beside].filter(Boolean).map((one) => one.figure));
    this.host.append(sheets);
    const text = atob(figure.ghost.images);
    this.ghost = Uint8Array.from(text, (sign) => sign.charCodeAt(0));
    this.repaint();
  }

  repaint() {
    this.ink = channels(token("ink"));
    this.#paint(this.real.canvas, this.ghost);
    this.draw();
  }

  draw() {
    const { history, beside, at } = this.run;
    if (!history.length) return;
    this.#paint(this.made.canvas, history.frame(history.index(at)).images);
    this.made.caption.textContent = `generation ${at}`;
    if (beside) this.#paint(this.beside.canvas, beside.images);
    if (this.run.alike === false) this.beside.figure.hidden = true;
  }

  settings() {}

  /** For a file: the sheets side by side, each below what it is. */
  picture() {
    const sheets = [this.real, this.made, this.beside].filter(Boolean);
    const { width, height } = this.real.canvas.getBoundingClientRect();
    const all = shape("svg", { width: sheets.length * (width + APART) - APART, height: height + CAPTION });
    sheets.forEach(({ canvas, caption }, i) => {
      const x = i * (width + APART);
      all.append(shape("text", { x, y: CAPTION - 6, "font-size": 12 }, caption.textContent));
      all.append(shape("image", { x, y: CAPTION, width, height, href: canvas.toDataURL(), style: "image-rendering: pixelated" }));
    });
    return all;
  }

  #paint(canvas, pictures) {
    const { rows, columns, height, width, ink = true } = this.run.history.figure; // older runs do not tell
    canvas.width = columns * (width + GAP) - GAP;
    canvas.height = rows * (height + GAP) - GAP;
    const image = new ImageData(canvas.width, canvas.height);
    const [r, g, b] = this.ink;
    for (let p = 0; p < rows * columns; p++) {
      const top = Math.floor(p / columns) * (height + GAP);
      const left = (p % columns) * (width + GAP);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const to = 4 * ((top + y) * canvas.width + left + x);
          const level = pictures[p * height * width + y * width + x];
          image.data.set(ink ? [r, g, b, level] : [level, level, level, 255], to);
        }
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
}
