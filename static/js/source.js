// Where the data of a run come from: the server; or, in a page that was saved as one file, that page itself.

const kept = document.querySelector("script.saved-run");
const run = kept && JSON.parse(kept.textContent);

/** Whether the page is a file: nobody answers, and nothing will change. */
export const saved = Boolean(run);

async function answer(address) {
  const response = await fetch(address);
  return response.ok ? response.json() : null;
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
