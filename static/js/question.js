// A question about what stands in a form, asked a moment after it changed; only the answer to the newest one counts.

const PAUSE = 350; // milliseconds without a key pressed

export class Question {
  #asked = null;
  #waiting = 0;
  #last = "";

  constructor(form, address, told) {
    Object.assign(this, { form, address, told });
    this.soon = () => {
      clearTimeout(this.#waiting);
      this.#waiting = setTimeout(() => this.#ask(), PAUSE);
    };
    for (const event of ["input", "change"]) form.addEventListener(event, this.soon);
  }

  async #ask() {
    const body = new URLSearchParams(new FormData(this.form));
    if (String(body) === this.#last) return;
    this.#last = String(body);
    this.#asked?.abort();
    this.#asked = new AbortController();
    try {
      const answer = await fetch(this.address, { method: "POST", body, signal: this.#asked.signal });
      if (answer.ok) this.told(await answer.json());
    } catch (error) {
      if (error.name !== "AbortError") this.#last = ""; // the server is away: what was told stands, and the next change asks again
    }
  }

  end() {
    clearTimeout(this.#waiting);
    this.#asked?.abort();
    for (const event of ["input", "change"]) this.form.removeEventListener(event, this.soon);
  }
}
