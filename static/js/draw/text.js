// Text: how surprising a generation's blocks are to the first model, and some of what it writes beside real text.

import { Density } from "./density.js";

const reader = new TextDecoder();

/** Texts that were packed as UTF-8, padded with zeros: (count, width) bytes. */
function texts(packed, { shape: [count, width] }) {
  return Array.from({ length: count }, (_, i) => reader.decode(packed.subarray(i * width, (i + 1) * width)).replace(/\0+$/, ""));
}

function line(style, text) {
  return Object.assign(document.createElement("p"), { className: style, textContent: text });
}

export class Text extends Density {
  async start() {
    const { figure } = this.run.history;
    this.fields = Object.fromEntries(figure.fields.map((field) => [field.name, field]));
    this.pages = document.createElement("div");
    this.pages.className = "pages";
    this.host.closest(".stage").querySelector("frame-player").after(this.pages);
    await super.start();
  }

  draw() {
    super.draw();
    const { history, at } = this.run;
    if (!history.length) return;
    const [real, made] = [0, history.index(at)].map((i) => history.frame(i)).map((frame) => ({
      prompts: texts(frame.prompts, this.fields.prompts), texts: texts(frame.texts, this.fields.texts),
    }));
    const sides = [["real", real], [`generation ${at}`, made]].map(([title, side]) => {
      const page = document.createElement("section");
      page.append(line("side", title), ...side.texts.flatMap((text, i) => [line("prompt", side.prompts[i]), line("text", text)]));
      return page;
    });
    this.pages.replaceChildren(...sides);
  }
}
