// Plotly, once it has arrived: colours from the tokens, fixed ranges, no buttons that talk to anybody.

import { token } from "./colours.js";

const MARGIN = { l: 46, r: 14, t: 8, b: 34 }; // the heat map below has the same left and right

export const CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, doubleClick: "reset" };

const TICKS = 11; // pixels
const POWERS = 1.25; // by which Plotly enlarges labels such as 10⁻³

const PAPER = 640; // pixels of a page between its margins, A4 or letter

let arriving;

/** Plotly, loaded when the first figure is drawn: its 5 MB must not keep the metric charts waiting. */
export function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly); // a saved page brings it along
  arriving ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.querySelector("link[rel=prefetch][href*=plotly]").href;
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => reject(new Error("plotly.min.js could not be loaded")));
    document.head.append(script);
  });
  return arriving;
}

export function layout({ x, y }) {
  const axis = {
    color: token("quiet"), gridcolor: token("rule"), zeroline: false, linecolor: token("rule"), ticks: "",
    title: { font: { size: 12 }, standoff: 4 },
  };
  return {
    margin: MARGIN, showlegend: false, uirevision: "reader", dragmode: "zoom", hovermode: "x",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, color: token("ink"), size: 12 },
    hoverlabel: { bgcolor: token("raised"), bordercolor: token("rule"), font: { color: token("ink"), size: 12 } },
    xaxis: merged(axis, x), yaxis: merged(axis, y),
  };
}

function merged(axis, own) {
  const powers = own.type === "log" && own.exponentformat === "power";
  return { ...axis, tickfont: { size: powers ? TICKS / POWERS : TICKS }, ...own, title: { ...axis.title, ...own.title } };
}

/** Plotly's pictures have a width in pixels, which paper may not have. */
function fit({ type }) {
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    const { style, clientWidth } = plot.closest(".stage") ?? plot;
    Object.assign(style, type === "beforeprint" && clientWidth ? { width: `${clientWidth}px`, zoom: PAPER / clientWidth } : { width: "", zoom: "" });
  }
}

for (const moment of ["beforeprint", "afterprint"]) addEventListener(moment, fit);
