import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

/** The part of the address that selects the page and its filters. */
export interface Place {
  path: string;
  query: string;
}

const listeners = new Set<() => void>();
window.addEventListener("popstate", () => listeners.forEach((listener) => listener()));

function currentPlace(): Place {
  return { path: window.location.pathname, query: window.location.search };
}

/** Follows the address of the page. */
export function usePlace(): Place {
  const [place, setPlace] = useState(currentPlace);
  useEffect(() => {
    const listener = () => setPlace(currentPlace());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return place;
}

/** Goes to an address of the console. */
export function navigate(address: string, how: "push" | "replace" = "push"): void {
  if (how === "push") window.history.pushState(null, "", address);
  else window.history.replaceState(null, "", address);
  listeners.forEach((listener) => listener());
}

interface LinkProps {
  href: string;
  children: ComponentChildren;
  class?: string;
  title?: string;
  "aria-current"?: "page" | undefined;
  "aria-label"?: string;
}

/** A link to a page of the console, without loading the document again. */
export function Link({ href, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(href);
    window.scrollTo(0, 0);
  };
  return (
    <a {...rest} href={href} onClick={follow}>
      {children}
    </a>
  );
}

/** The page of a submission. */
export function submissionPage(id: string): string {
  return `/submissions/${encodeURIComponent(id)}`;
}
