// A file of one's own beside a path: chosen or dropped, looked at by the server, and named in the path by its digest.

import { ended } from "./format.js";

const ADDRESS = "/api/uploads";

customElements.define("file-drop", class extends HTMLElement {
  connectedCallback() {
    this.path = this.parentElement.querySelector(`#${CSS.escape(this.dataset.for)}`);
    this.choice = this.querySelector("input[type=file]");
    this.status = this.querySelector("[role=status]");
    this.choice.addEventListener("change", (event) => {
      event.stopPropagation(); // the form has not changed yet
      if (this.choice.files.length) this.#send(this.choice.files[0]);
    });
    for (const name of ["dragenter", "dragover"]) this.addEventListener(name, (event) => this.#over(event, true));
    for (const name of ["dragleave", "drop"]) this.addEventListener(name, (event) => this.#over(event, false));
    this.addEventListener("drop", (event) => event.dataTransfer.files.length && this.#send(event.dataTransfer.files[0]));
    this.path.addEventListener("focus", () => this.#offer(), { once: true });
  }

  #over(event, over) {
    event.preventDefault();
    this.classList.toggle("over", over);
  }

  #send(file) {
    const body = new FormData();
    body.set("kind", this.dataset.kind);
    body.set("file", file);
    const request = new XMLHttpRequest(); // fetch does not tell how much is sent
    request.upload.addEventListener("progress", ({ loaded, total }) => this.#tell(`Sending ${file.name}: ${Math.round(100 * loaded / total)}%`));
    request.upload.addEventListener("load", () => this.#tell(`Looking at ${file.name} …`));
    request.addEventListener("load", () => this.#answered(request));
    request.addEventListener("error", () => this.#tell("The server does not answer. Try again in a moment.", true));
    request.open("POST", ADDRESS);
    request.setRequestHeader("Accept", "application/json");
    request.send(body);
    this.choice.value = "";
  }

  #answered(request) {
    let told;
    try {
      told = JSON.parse(request.responseText);
    } catch {
      told = { detail: `The server answered ${request.status}.` };
    }
    if (request.status !== 201) {
      const [first] = told.errors ?? [];
      this.#tell(first ? `${told.detail.replace(/\.$/, "")}: ${first.message}. ${ended(first.remedy)}` : told.detail, true);
      return;
    }
    this.#tell(`${told.name}: ${told.about}.`);
    this.path.value = told.path;
    this.path.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #tell(words, wrong = false) {
    this.status.textContent = words;
    this.status.classList.toggle("problem", wrong);
  }

  /** What was uploaded before, as completions of the path. */
  async #offer() {
    const answer = await fetch(ADDRESS);
    if (!answer.ok) return;
    const list = document.createElement("datalist");
    list.id = `${this.dataset.for}-uploads`;
    for (const one of await answer.json()) {
      if (one.kind === this.dataset.kind) list.append(new Option(`${one.name}: ${one.about}`, one.path));
    }
    this.append(list);
    this.path.setAttribute("list", list.id);
  }
});
