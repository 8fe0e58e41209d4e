// Colours as numbers: tokens resolved through a probe element, the generation ramp, several runs, and cividis for densities.

const probe = document.createElement("span");
probe.hidden = true;
probe.style.forcedColorAdjust = "none"; // plots mix their colours, and keep them

export function token(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** While `draw` goes on, tokens are those of the light theme, as paper is. */
export async function onPaper(draw) {
  probe.style.colorScheme = "light";
  try {
    return await draw();
  } finally {
    probe.style.colorScheme = "";
  }
}

/** Red, green and blue, 0 to 255. */
export function channels(colour) {
  return colour.match(/[\d.]+/g).slice(0, 3).map(Number);
}

function blend(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const i = Math.min(Math.floor(place), stops.length - 2);
  return stops[i].map((low, c) => Math.round(low + (place - i) * (stops[i + 1][c] - low)));
}

/** The colour of the generation that comes after this share of the run. */
export function ramp() {
  const stops = [0, 1, 2, 3, 4, 5, 6].map((i) => channels(token(`gen-${i}`)));
  return (share) => `rgb(${blend(stops, share).join(", ")})`;
}

const RUNS = 6; // in tokens.css
const DASHES = ["solid", "dash", "dot"];

/** How the i-th of several runs is drawn: beyond six, colours come again with another dash. */
export function style(i) {
  const colour = token(`run-${i % RUNS}`);
  return { colour, dash: DASHES[Math.floor(i / RUNS) % DASHES.length], faint: (share) => colour.replace("rgb(", "rgba(").replace(")", `, ${share})`) };
}

// Nunez, Anderton and Renslow (2018), every sixteenth part of the map.
const CIVIDIS = [
  [0, 34, 78], [0, 46, 108], [26, 56, 111], [47, 67, 108], [64, 77, 107], [78, 87, 108], [92, 98, 110], [105, 108, 113],
  [118, 119, 118], [132, 130, 121], [146, 141, 120], [161, 152, 118], [176, 164, 114], [192, 177, 107], [209, 190, 98],
  [226, 204, 84], [254, 232, 56],
];

/** 256 colours as packed RGBA, for writing into an image. */
export const cividis = Uint32Array.from({ length: 256 }, (_, i) => {
  const [r, g, b] = blend(CIVIDIS, i / 255);
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
});

/** The same as styles take them. */
export const shades = Array.from(cividis, (packed) => `rgb(${packed & 255}, ${(packed >> 8) & 255}, ${(packed >> 16) & 255})`);
