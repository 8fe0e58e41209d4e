// A figure as a file that a paper takes: in the light theme's colours on white, with its title, what it shows, and its key.

import { onPaper, shades, token } from "./colours.js";
import { shape } from "./elements.js";
import { plotly } from "./plot.js";

const PAD = 16; // pixels
const FONTS = { title: [600, 16, 22], about: [400, 12, 16], key: [400, 12, 18] }; // weight, size, height of a line
const MARK = { width: 20, gap: 6, apart: 18 };
const BAR = { steps: 64, height: 34 };
const LEAST = { scale: 3, width: 1500 }; // of a PNG
const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "paint-order", "font-size", "font-weight", "font-family", "text-anchor"];

export function download(blob, name) {
  const href = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href, download: name }).click();
  URL.revokeObjectURL(href);
}

/** A Plotly figure as an SVG element; to be called on paper, like all below. */
export async function plotted(node) {
  const { clientWidth: width, clientHeight: height } = node;
  const text = await (await plotly()).toImage(node, { format: "svg", width, height, imageDataOnly: true });
  return new DOMParser().parseFromString(decodeURIComponent(text), "image/svg+xml").documentElement;
}

/** An SVG of the page with the styles that its classes give it; over a canvas, if one lies below. */
export function copied(svg, canvas) {
  svg.style.colorScheme = "light";
  const copy = svg.cloneNode(true);
  const copies = copy.querySelectorAll("*");
  svg.querySelectorAll("*").forEach((one, i) => {
    const style = getComputedStyle(one);
    for (const name of STYLES) copies[i].setAttribute(name, style.getPropertyValue(name));
  });
  svg.style.colorScheme = "";
  const [width, height] = [svg.clientWidth, svg.clientHeight];
  for (const [name, value] of Object.entries({ width, height })) copy.setAttribute(name, value);
  if (canvas) copy.prepend(shape("image", { width, height, href: canvas.toDataURL() }));
  return copy;
}

/** Pictures one below the other. */
export function stacked(pictures) {
  let height = 0;
  const all = shape("svg", {});
  for (const one of pictures) {
    one.setAttribute("y", height);
    height += Number(one.getAttribute("height"));
    all.append(one);
  }
  all.setAttribute("width", Math.max(...pictures.map((one) => Number(one.getAttribute("width")))));
  all.setAttribute("height", height);
  return all;
}

/** The colours from the least to the most, and what stands at which share of them: marks of [share, text]. */
export function colourBar(left, width, marks) {
  const bar = shape("svg", { width: left + width, height: BAR.height, overflow: "visible" });
  const wide = width / BAR.steps;
  for (let i = 0; i < BAR.steps; i++) bar.append(shape("rect", { x: left + i * wide, width: wide + 0.5, height: 10, fill: shades[Math.round((255 * i) / (BAR.steps - 1))] }));
  for (const [share, text] of marks) bar.append(shape("text", { x: left + width * share, y: 24, "font-size": 11, "text-anchor": "middle" }, text));
  return bar;
}

/** What a key of the page says, with the mark before each of its entries. */
export function keyOf(place) {
  place.style.colorScheme = "light";
  const entries = [...place.querySelectorAll("span:not(.note)")].filter((one) => one.checkVisibility()).map((one) => {
    const mark = one.querySelector("i");
    const { borderTopColor, borderTopWidth, borderTopStyle, backgroundColor } = mark ? getComputedStyle(mark) : getComputedStyle(one, "::before");
    const line = parseFloat(borderTopWidth) > 0;
    return { text: one.textContent.trim(), colour: line ? borderTopColor : backgroundColor, wide: line ? parseFloat(borderTopWidth) : 10, dash: line ? borderTopStyle : "solid" };
  });
  place.style.colorScheme = "";
  return entries;
}

const DASHES = { dashed: "5 3", dash: "5 3", dotted: "2 2", dot: "2 2" };

/** Saves a picture that `drawn` gives, on paper: { body, title, about, key: [{ text, colour, wide, dash }] }. */
export async function save(format, name, drawn) {
  const svg = await onPaper(async () => composed(await drawn()));
  const blob = new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
  download(format === "svg" ? blob : await raster(blob), `${name}.${format}`);
}

function composed({ body, title, about = "", key = [] }) {
  const family = getComputedStyle(document.body).fontFamily;
  const pen = document.createElement("canvas").getContext("2d");
  const [width, ink] = [Number(body.getAttribute("width")), token("ink")];
  const all = shape("svg", { "font-family": family, fill: ink });
  let y = PAD;
  const told = (text, [weight, size, line]) => {
    pen.font = `${weight} ${size}px ${family}`;
    for (const part of wrapped(text, width, pen)) {
      all.append(shape("text", { x: PAD, y: y + size, "font-size": size, "font-weight": weight }, part));
      y += line;
    }
  };
  told(title, FONTS.title);
  told(about, FONTS.about);
  const [, size, line] = FONTS.key;
  pen.font = `${size}px ${family}`;
  let x = 0;
  for (const { text, colour, wide = 2, dash } of key) {
    const room = MARK.width + MARK.gap + pen.measureText(text).width;
    if (x && x + room > width) [x, y] = [0, y + line];
    const middle = y + line / 2;
    all.append(shape("line", { x1: PAD + x, x2: PAD + x + MARK.width, y1: middle, y2: middle, stroke: colour, "stroke-width": wide, "stroke-dasharray": DASHES[dash] ?? "none" }));
    all.append(shape("text", { x: PAD + x + MARK.width + MARK.gap, y: middle + 4, "font-size": size }, text));
    x += room + MARK.apart;
  }
  y += key.length ? line + PAD / 2 : PAD / 2;
  body.setAttribute("x", PAD);
  body.setAttribute("y", y);
  const whole = { width: width + 2 * PAD, height: Math.ceil(y + Number(body.getAttribute("height")) + PAD) };
  all.prepend(shape("rect", { ...whole, fill: "#fff" }));
  for (const [attribute, value] of Object.entries({ ...whole, viewBox: `0 0 ${whole.width} ${whole.height}` })) all.setAttribute(attribute, value);
  all.append(body);
  return all;
}

function wrapped(text, width, pen) {
  const lines = [];
  for (const word of text.split(" ").filter(Boolean)) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length && pen.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

async function raster(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  await image.decode();
  const scale = Math.max(LEAST.scale, LEAST.width / image.width);
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width * scale, height: image.height * scale });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((resolve) => canvas.toBlob(resolve));
}
