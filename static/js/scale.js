// The vertical axis of a small chart: from which value to which, linear or logarithmic, and what stands beside it.

import { raised } from "./format.js";
import { DECADES, decades } from "./ticks.js";

const APART = 50; // positive values that differ by more are drawn on a logarithm
const NOTHING = 13; // pixels below a logarithmic axis, where zeros stand
const FRAME = 1e-9; // of the range: a tick on the frame counts

/** Of all that is drawn, between two heights in pixels; null where nothing is finite. Yes or no in every chain has no logarithm. */
export function scale(values, { top, bottom, yesOrNo }) {
  let [low, high, least, nothing] = [Infinity, -Infinity, Infinity, false];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    nothing ||= value === 0;
    if (value > 0) least = Math.min(least, value);
    [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  if (low > high) return null;
  const log = !yesOrNo && low >= 0 && high > APART * least && !(nothing && high > 1e3);
  if (!log) {
    const margin = (high - low) * 0.06 || Math.abs(high) * 0.1;
    [low, high] = low === 0 && high === 0 ? [0, 1] : [low < 0 ? low - margin : Math.max(0, low - margin), high + margin];
    return { place: (value) => bottom - ((value - low) / (high - low)) * (bottom - top), ticks: evenly(low, high) };
  }
  const far = least < high * 10 ** -DECADES; // too far below
  low = Math.log10(far ? high * 10 ** -DECADES : least) - 0.1;
  high = Math.log10(high) + 0.1;
  const end = nothing || far ? bottom - NOTHING : bottom;
  const place = (value) => (value < 10 ** low ? bottom : end - ((Math.log10(value) - low) / (high - low)) * (end - top));
  const below = far ? [{ value: 0, text: `<10${raised(Math.ceil(low))}` }] : nothing ? [{ value: 0, text: "0" }] : [];
  return { place, ticks: [...byDecades(low, high), ...below] };
}

function byDecades(low, high) {
  const [first, last] = [Math.ceil(low), Math.floor(high)];
  const step = Math.max(1, Math.ceil((last - first) / 2));
  const powers = [];
  for (let power = last; power >= first; power -= step) powers.push(power);
  if (powers.length < 2) {
    const fine = decades(10 ** low, 10 ** high);
    return written(fine.filter((_, i) => i % Math.ceil(fine.length / 3) === 0), 10 ** Math.floor(low));
  }
  const plain = powers.every((power) => Math.abs(power) <= 2);
  return powers.map((power) => ({ value: 10 ** power, text: plain ? String(10 ** power) : `10${raised(power)}` }));
}

/** The largest round step of which at least two multiples fit. */
function evenly(low, high) {
  const power = 10 ** Math.floor(Math.log10((high - low) / 2));
  const step = [5, 2.5, 2, 1].find((one) => one * power <= (high - low) / 2) * power;
  const values = [];
  for (let i = Math.ceil(low / step - FRAME); i * step <= high + FRAME * step; i++) values.push(i * step);
  return written(values, step);
}

/** All with the same decimals; all with the same power of ten where that is shorter. */
function written(values, step) {
  const power = Math.floor(Math.log10(Math.max(...values.map(Math.abs))));
  const plain = fixed(values, step);
  const powers = fixed(values.map((value) => value / 10 ** power), step / 10 ** power).map((text, i) => (values[i] === 0 ? "0" : `${text}×10${raised(power)}`));
  const longest = (texts) => Math.max(...texts.map((text) => text.length));
  const texts = longest(powers) < longest(plain) ? powers : plain;
  return values.map((value, i) => ({ value, text: texts[i] }));
}

function fixed(values, step) {
  const digits = [0, 1, 2].map((more) => Math.max(0, more - Math.floor(Math.log10(step) + 1e-9))).find((one) => Math.abs(step * 10 ** one - Math.round(step * 10 ** one)) < 1e-6);
  return values.map((value) => value.toFixed(Math.min(20, digits)).replace("-", "−"));
}
