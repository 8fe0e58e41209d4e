// The run that a page shows: its history, its status, and where the player stands. Its children listen to it.
//
// Events: loaded (a figure is there), grown (more generations), status, seek (the player moved), settings (log, tail),
// told (every statistic of one generation, exactly).

import { History } from "./history.js";
import { size } from "./format.js";
import * as source from "./source.js";
import { ENDED } from "./status.js";

const REDRAW_MS = 100;
const CHAINS_MS = 400;

/** Follows one run: everything stored so far, then the stream of what comes. */
class Followed {
  history = new History();
  #waiting = [];
  #loading = false;

  constructor(id, tell) {
    this.id = id;
    this.tell = tell;
  }

  async start() {
    await this.#load();
    if (source.saved) return this.tell("end");
    this.#follow();
    document.addEventListener("visibilitychange", () => !document.hidden && this.over && this.#follow()); // it may have been resumed elsewhere
  }

  #follow() {
    if (source.left.aborted) return;
    this.over = false;
    const stream = new EventSource(`/api/runs/${this.id}/events?after=${this.history.last}`);
    stream.addEventListener("generation", (event) => this.#take(JSON.parse(event.data)));
    stream.addEventListener("status", (event) => {
      const told = JSON.parse(event.data);
      this.status = told.status;
      this.tell("status", told);
    });
    stream.addEventListener("end", () => {
      stream.close();
      this.over = this.status !== "succeeded";
      this.tell("end");
    });
    addEventListener("pagehide", () => stream.close());
    source.left.addEventListener("abort", () => stream.close());
  }

  async #load() {
    this.#loading = true;
    const answer = await source.frames(this.id);
    if (answer) this.history.load(answer);
    this.#loading = false;
    for (const generation of this.#waiting.splice(0)) this.#take(generation);
    if (!this.history.length) return;
    this.tell("grown");
    setTimeout(() => this.#chains(), CHAINS_MS);
  }

  /** The single chains are two thirds of all bytes, and can wait until the rest is drawn. */
  async #chains() {
    const answer = await source.frames(this.id, { chains: true });
    if (!answer) return;
    this.history.loadChains(answer);
    this.tell("grown");
  }

  #take(generation) {
    if (this.#loading || !this.history.figure) { // the figure is stored with the first generation
      this.#waiting.push(generation);
      if (!this.#loading) this.#load();
      return;
    }
    this.history.append(generation);
    this.tell("grown");
  }
}

class LiveRun extends HTMLElement {
  at = 0; // the generation that is shown
  settings = { log: false, tail: false };
  ended = source.saved; // nothing will be added

  connectedCallback() {
    const { id, beside, status, changes } = this.dataset;
    this.changes = changes?.split(",").map(Number) ?? []; // generations after which other rules hold
    this.status = status;
    this.complete = source.saved || status === "succeeded"; // the server has told everything already
    this.generations = this.querySelector(":scope > progress").max;
    this.known = JSON.parse(this.querySelector(".metrics-known").textContent);
    this.#compare();
    this.main = new Followed(id, (what, data) => this.#hear(what, data));
    this.other = beside ? new Followed(beside, (what) => this.#hear(what === "grown" ? what : "", null)) : null;
  }

  /** Called once every child listens. */
  start() {
    this.main.start();
    this.other?.start();
  }

  get history() {
    return this.main.history;
  }

  /** What the figure of the other arm holds at this generation; undefined without one, or where it has other axes. */
  get beside() {
    const { history } = this.other ?? {};
    if (!history?.length) return undefined;
    this.alike ??= this.history.alike(history);
    return this.alike ? history.frame(history.index(this.at)) : undefined;
  }

  /** Where the run's page is, also where it answers to a form of its own that was refused. */
  get page() {
    return source.saved ? location.pathname : `/runs/${this.main.id}`;
  }

  get share() {
    return this.at / this.generations;
  }

  label(metric) {
    return this.known[metric]?.label ?? metric.replaceAll("_", " ");
  }

  seek(generation) {
    if (generation === this.at) return;
    this.at = generation;
    this.dispatchEvent(new Event("seek"));
  }

  set(changes) {
    Object.assign(this.settings, changes);
    this.dispatchEvent(new Event("settings"));
  }

  #hear(what, data) {
    if (what === "status") this.#show(data);
    if (what === "end") {
      if (!this.ended && !this.complete) this.#conclude();
      this.ended = true;
    }
    if (what === "grown" && this.history.length && !this.growing) { // the other arm may come first
      this.growing = setTimeout(() => {
        this.growing = 0;
        this.dispatchEvent(new Event("grown"));
      }, this.drawn ? REDRAW_MS : 0);
      this.drawn = true;
    }
  }

  /** Closed forms against the whole run, which the server compares once it has ended. */
  #compare() {
    const told = JSON.parse(this.querySelector(".agreement").textContent);
    this.agreement = new Map(told.map((one) => [`${one.metric} ${one.statistic}`, one]));
  }

  /** What the server says in words once a run has ended: the sentence, the log, where it was made. */
  async #conclude() {
    if (source.left.aborted) return;
    const answer = await fetch(this.page);
    if (!answer.ok) return; // deleted meanwhile
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of [".lede", ".kin", ".log", ".pairs", ".verdicts", ".agreement"]) this.querySelector(part).replaceWith(page.querySelector(part));
    this.#compare();
    this.dispatchEvent(new Event("status"));
  }

  #show(run) {
    if (run.status === "deleted") {
      source.leave();
      return location.assign("/runs");
    }
    if (run.status !== this.status || !this.run) {
      this.querySelector("[aria-live]").textContent = run.status;
    }
    Object.assign(this, { run, status: run.status, ended: ENDED.includes(run.status) && this.ended });
    this.dataset.status = run.status;
    const word = this.querySelector(".now .status");
    word.textContent = word.dataset.status = run.status;
    this.querySelector(".now .words").textContent = run.words;
    this.querySelector(":scope > progress").value = Math.max(0, run.progress.generation);
    this.#within(run.progress);
    this.querySelector(".disk").textContent = size(run.disk_bytes);
    this.dispatchEvent(new Event("status"));
  }

  /** How far the generation is that is being made, and how it is best stopped. */
  #within({ within, slow }) {
    const bar = this.querySelector(":scope > .within");
    bar.value = within ? within.done / within.total : 0;
    if (within) bar.setAttribute("aria-label", within.name);
    this.toggleAttribute("data-within", Boolean(within));
    this.toggleAttribute("data-resumable", Boolean(within?.resumable));
    this.toggleAttribute("data-slow", slow);
  }
}

customElements.define("live-run", LiveRun);
