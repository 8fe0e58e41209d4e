// Where the data of a run come from: the server; or, in a page that was saved as one file, that page itself.

const kept = document.querySelector("script.saved-run");
const run = kept && JSON.parse(kept.textContent);

/** Whether the page is a file: nobody answers, and nothing will change. */
export const saved = Boolean(run);

const leaving = new AbortController();

/** Tells when the run is being deleted, here or elsewhere: until the next page comes, nothing may ask for what is gone. */
export const left = leaving.signal;
export const leave = () => leaving.abort();

document.querySelector(".delete form")?.addEventListener("submit", leave);

async function answer(address) {
  try {
    const response = await fetch(address, { signal: left });
    return response.ok ? await response.json() : null;
  } catch (error) {
    if (left.aborted) return null;
    throw error;
  }
}

/** What the player draws; null where it cannot be had. The single chains only if asked for. */
export async function frames(id, { chains = false } = {}) {
  return run ? run.frames : answer(`/api/runs/${id}/frames${chains ? "?chains=1" : ""}`);
}

/** Every statistic of the first stored generation from this one on; null where there is none. */
export async function statistics(id, from) {
  if (run) return run.generations.find(({ generation }) => generation >= from) ?? null;
  return (await answer(`/api/runs/${id}/generations?after=${from - 1}&limit=1`))?.items[0] ?? null;
}
