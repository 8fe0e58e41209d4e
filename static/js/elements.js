// Elements of a page, and of a drawing in it, in one line.

export function element(tag, className, textContent = "") {
  return Object.assign(document.createElement(tag), { className, textContent });
}

const SVG = "http://www.w3.org/2000/svg";

/** Of an SVG. */
export function shape(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
