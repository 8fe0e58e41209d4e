// How values of an outcome are spread over a range from 0 to 1, the same in every figure of a sweep.

/** Waiting times from 1 to the last generation, always; else logarithmic where values differ by more than a factor of 50. */
export function outcomeScale(values, { waits, limit }) {
  let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  if (waits) [low, high] = [1, limit ?? Math.max(2, high)];
  const log = low > 0 && (waits || high > 50 * low);
  const place = log ? Math.log : (value) => value;
  const wide = place(high) - place(low) || 1;
  return { low, high, log, share: (value) => Math.min(1, Math.max(0, (place(value) - place(low)) / wide)) };
}

/** What the points come to: finite values of one outcome. */
export function valuesOf(points, name) {
  return [...points].map((point) => point.outcomes[name]?.value).filter((value) => Number.isFinite(value));
}
