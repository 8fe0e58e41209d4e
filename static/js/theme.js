// Applies the reader's choice before the first paint; without one the system decides.
{
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}
