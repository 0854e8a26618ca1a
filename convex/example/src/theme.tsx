import { useState, useSyncExternalStore } from "react";
import { load, save } from "./storage";

type Theme = "light" | "dark";

// public/theme.js reads the same key before the first paint.
const KEY = "gavel.theme";

const systemDark = () => window.matchMedia("(prefers-color-scheme: dark)");

function subscribe(onChange: () => void): () => void {
  const query = systemDark();
  query.addEventListener("change", onChange);
  return () => query.removeEventListener("change", onChange);
}

/** Switches between light and dark. The choice is kept unless it is the system's. */
export function ThemeButton() {
  const system: Theme = useSyncExternalStore(subscribe, () => systemDark().matches) ? "dark" : "light";
  const [chosen, setChosen] = useState<string | null>(() => load(KEY));
  const theme = chosen === "light" || chosen === "dark" ? chosen : system;
  const other: Theme = theme === "dark" ? "light" : "dark";
  const choose = () => {
    const choice = other === system ? null : other;
    save(KEY, choice);
    setChosen(choice);
    if (choice === null) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
  };
  return (
    <button type="button" className="quiet-button" onClick={choose}>
      {other === "dark" ? "Dark theme" : "Light theme"}
    </button>
  );
}
