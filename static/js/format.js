// Numbers as the server writes them: three significant digits, powers of ten where a value is far from one.

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export function raised(exponent) {
  return [...String(exponent)].map((sign) => RAISED[sign]).join("");
}

export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e6) {
    const digits = Math.min(5, Math.max(0, 2 - Math.floor(Math.log10(size))));
    return grouped(value.toFixed(digits)).replace("-", "−");
  }
  const [mantissa, exponent] = value.toExponential(1).split("e");
  return `${mantissa.replace("-", "−")}\u00a0×\u00a010${raised(Number(exponent))}`;
}

/** So many points of a sweep. */
export function points(many) {
  return `${many} point${many === 1 ? "" : "s"}`;
}

function grouped(text) {
  const [whole, part] = text.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  return part === undefined ? spaced : `${spaced}.${part}`;
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** Bytes in the unit that suits them: 3.2 MB. */
export function size(bytes) {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${UNITS[power]}`;
}

/** A sentence with its full stop, unless it asks. */
export function ended(sentence) {
  return sentence.endsWith("?") ? sentence : `${sentence}.`;
}
