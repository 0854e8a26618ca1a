import { useEffect, useState } from "preact/hooks";

const STORED = "gavel-console-theme";
const THEMES = ["system", "light", "dark"] as const;

export type Theme = (typeof THEMES)[number];

const listeners = new Set<() => void>();

/** The theme that the reader has chosen in this browser. */
export function chosenTheme(): Theme {
  const stored = localStorage.getItem(STORED);
  return THEMES.find((theme) => theme === stored) ?? "system";
}

/** Applies and keeps a theme. */
export function chooseTheme(theme: Theme): void {
  localStorage.setItem(STORED, theme);
  applyTheme();
}

/** Applies the chosen theme to the document. */
export function applyTheme(): void {
  const theme = chosenTheme();
  document.documentElement.style.colorScheme = theme === "system" ? "light dark" : theme;
  listeners.forEach((listener) => listener());
}

/** A number that changes with the colours of the page, for what draws on a canvas. */
export function useColoursVersion(): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const change = () => setVersion((count) => count + 1);
    const system = window.matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", change);
    listeners.add(change);
    return () => {
      system.removeEventListener("change", change);
      listeners.delete(change);
    };
  }, []);
  return version;
}
