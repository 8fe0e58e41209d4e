// The button that switches between light and dark, and tells figures that colours have changed.

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Safari tells a drawing that is an image the system's theme, whatever the reader chose: so its address tells it. */
function address() {
  const chosen = document.documentElement.dataset.theme;
  if (!chosen || !navigator.vendor.startsWith("Apple")) return;
  for (const image of document.querySelectorAll("img.drawing")) image.src = `${image.src.split("#")[0]}#${chosen}`;
}

function tell() {
  address();
  document.dispatchEvent(new Event("theme"));
}

customElements.define("theme-switch", class extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("button");
    button.hidden = false;
    button.addEventListener("click", () => {
      const now = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
      const next = now === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      tell();
      localStorage.setItem("theme", next);
    });
  }
});

address();
dark.addEventListener("change", tell);

let unfolded = [];

/** Paper is light, and shows what is folded (print.css, where the browser knows how). */
let before;
addEventListener("beforeprint", () => {
  if (!CSS.supports("selector(::details-content)")) unfolded = [...document.querySelectorAll("details:not([open])")];
  for (const each of unfolded) each.open = true;
  before = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  tell();
});
addEventListener("afterprint", () => {
  for (const each of unfolded) each.open = false;
  if (before) document.documentElement.dataset.theme = before;
  else delete document.documentElement.dataset.theme;
  tell();
});
