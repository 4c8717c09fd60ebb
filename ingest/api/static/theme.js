// In the head and not a module: the page must not flash in the other theme.
try {
  const chosen = localStorage.getItem("conflictwire.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; then the system's theme it is.
}
