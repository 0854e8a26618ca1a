// Runs before the first paint, so that the page does not flash in the other theme. See src/theme.tsx.
try {
  const theme = localStorage.getItem("gavel.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // The browser refuses storage: the theme of the system applies.
}
