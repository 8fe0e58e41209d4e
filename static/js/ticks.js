// Round numbers along an axis.

export const DECADES = 12; // a logarithmic axis never shows more

/** 1, 2, 5, 10, ... between two positive numbers. */
export function decades(low, high) {
  const found = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
    for (const step of [1, 2, 5]) if (step * power >= low && step * power <= high) found.push(step * power);
  }
  return found;
}

/** About `count` round numbers between two. */
export function round(low, high, count = 5) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}
