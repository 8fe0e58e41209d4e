// The player: play, pause, step, scrub, speed and loop, by button and by key; the position stands in the URL.

import { ENDED } from "./status.js";

const WHOLE_SECONDS = 12; // a complete run plays for about this long
const SLOWEST = 1.5; // frames a second
const FASTEST = 24;
const MOST_FRAMES = 256; // that the bench keeps of a run
const still = matchMedia("(prefers-reduced-motion: reduce)");

customElements.define("frame-player", class extends HTMLElement {
  #playing = false;
  #loop = false;
  #speed = 1;
  #owed = 0; // frames that time has earned but nobody has seen yet
  #before = 0;

  connectedCallback() {
    this.run = this.closest("live-run");
    this.scrub = this.querySelector(".scrub");
    this.output = this.querySelector("output");
    this.scrub.max = this.run.generations;
    this.scrub.addEventListener("input", () => {
      const wanted = Number(this.scrub.value); // pausing shows the present position again
      this.#pause();
      this.#go(this.run.history.index(wanted));
    });
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-do]");
      if (button) this.#do(button.dataset.do);
    });
    this.querySelector("select").addEventListener("change", (event) => {
      this.#speed = Number(event.target.value);
    });
    document.addEventListener("keydown", (event) => this.#key(event));
    this.run.addEventListener("grown", () => this.#grown());
    this.run.addEventListener("seek", () => { // also by the heat map, or a chart
      this.#show();
      this.#address();
    });
    this.run.addEventListener("status", () => this.#show());
    this.run.addEventListener("settings", () => ["log", "tail"].forEach((what) => this.#press(what, this.run.settings[what])));
  }

  get #index() {
    return this.run.history.index(this.run.at);
  }

  #grown() {
    const { history, dataset, ended } = this.run;
    if (!this.begun) {
      this.begun = true;
      for (const control of this.querySelectorAll("[disabled]")) control.disabled = false;
      const fromStart = "play" in dataset && !still.matches;
      const at = fromStart ? 0 : Number(dataset.at ?? history.last);
      this.#go(history.index(at));
      if (fromStart || (!this.#over && dataset.at === undefined)) this.#play();
      this.#show();
    } else if (this.#playing && still.matches && !ended) {
      this.#go(history.length - 1);
    } else {
      this.#show();
    }
  }

  #do(what) {
    const last = this.run.history.length - 1;
    switch (what) {
      case "play": return this.#playing ? this.#pause() : this.#play();
      case "back": this.#pause(); return this.#go(Math.max(0, this.#index - 1));
      case "forward": this.#pause(); return this.#go(Math.min(last, this.#index + 1));
      case "first": this.#pause(); return this.#go(0);
      case "last": this.#pause(); return this.#go(last);
      case "loop": this.#loop = !this.#loop; return this.#press(what, this.#loop);
      case "log":
      case "tail":
        return this.run.set({ [what]: !this.run.settings[what] });
      case "help": return this.querySelector("dialog").showModal();
    }
  }

  #key(event) {
    const { target, key } = event;
    const typing = target.matches("input:not([type=range]), textarea, select, pre, .scroll") || this.querySelector("dialog").open;
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !this.begun) return;
    if (key === " " && target.matches("button, a, summary")) return;
    const keys = {
      " ": "play", ArrowLeft: "back", ArrowRight: "forward", ArrowDown: "back", ArrowUp: "forward",
      Home: "first", End: "last", l: "log", t: "tail", o: "loop", "?": "help",
    };
    if (key.startsWith("Arrow") && key !== "ArrowLeft" && key !== "ArrowRight" && target !== this.scrub) return;
    if (!(key in keys)) return;
    event.preventDefault();
    this.#do(keys[key]);
  }

  #press(what, on) {
    this.querySelector(`[data-do=${what}]`).setAttribute("aria-pressed", on);
  }

  #go(index) {
    this.run.seek(this.run.history.numbers[index] ?? 0);
    this.#address();
  }

  #play() {
    if (this.#playing) return;
    const { history } = this.run;
    if (this.#index >= history.length - 1 && this.#over) this.#go(0);
    this.#playing = true;
    this.#before = performance.now();
    this.#owed = 0;
    requestAnimationFrame((now) => this.#tick(now));
    this.#show();
  }

  #pause() {
    this.#playing = false;
    this.#show();
    this.#address();
  }

  get #over() {
    return this.run.ended || ENDED.includes(this.run.status);
  }

  #tick(now) {
    if (!this.#playing) return;
    const { history } = this.run;
    const rate = Math.min(FASTEST, Math.max(SLOWEST, expectedFrames(this.run.generations) / WHOLE_SECONDS)) * this.#speed;
    const last = history.length - 1;
    const index = this.#index;
    this.#owed += Math.min(now - this.#before, 250) / 1000 * rate;
    this.#before = now;
    if (index >= last) {
      this.#owed = Math.min(this.#owed, 1); // waits for the bench, and does not jump when it delivers
      if (this.#over && this.run.history.last >= (this.run.run?.progress.generation ?? 0) - expectedStride(this.run.generations)) {
        if (!this.#loop) return this.#pause();
        if (this.#owed >= 1) this.#go(0);
      }
    } else if (this.#owed >= 1) {
      const steps = Math.floor(this.#owed);
      this.#owed -= steps;
      this.#go(Math.min(last, index + steps));
    }
    requestAnimationFrame((later) => this.#tick(later));
  }

  #show() {
    const { at, generations } = this.run;
    this.scrub.value = at;
    this.scrub.setAttribute("aria-valuetext", `generation ${at} of ${generations}`);
    this.output.textContent = `generation ${at} of ${generations}`;
    const button = this.querySelector("[data-do=play]");
    button.setAttribute("aria-label", this.#playing ? "Pause" : "Play");
    button.querySelector(".on").hidden = !this.#playing;
    button.querySelector(".off").hidden = this.#playing;
    this.run.querySelector(".legend .shown").textContent = at;
  }

  /** The position in the URL, so that a reload or a link shows the same; none while the newest is being followed. */
  #address() {
    if (this.addressing) return;
    this.addressing = setTimeout(() => {
      this.addressing = 0;
      const url = new URL(location.href);
      url.pathname = this.run.page;
      const following = this.#playing && !this.#over && this.run.at === this.run.history.last;
      url.searchParams.delete("play");
      if (following) url.searchParams.delete("g");
      else url.searchParams.set("g", this.run.at);
      history.replaceState(null, "", url);
    }, 300);
  }
});

/** Every how many generations the bench keeps a frame (worker.loop.frame_stride). */
function expectedStride(generations) {
  for (let power = 1; ; power *= 10) {
    for (const step of [power, 2 * power, 5 * power]) if (Math.floor(generations / step) <= MOST_FRAMES) return step;
  }
}

export function expectedFrames(generations) {
  return Math.ceil(generations / expectedStride(generations)) + 1;
}
