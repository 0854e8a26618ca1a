import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { DeadLettersPage } from "./dead-letters/page";
import { ConnectionState } from "./connection";
import { OverviewPage } from "./overview/page";
import { RejudgePage } from "./rejudge/page";
import { Link, usePlace } from "./router";
import { SessionProvider, useSession } from "./session";
import { SubmissionPage } from "./submissions/detail-page";
import { SubmissionsPage } from "./submissions/list-page";
import { chooseTheme, chosenTheme, type Theme } from "./theme";
import { Button } from "./ui/button";

const PAGES = [
  { path: "/", title: "Overview" },
  { path: "/submissions", title: "Submissions" },
  { path: "/dead-letters", title: "Dead letters" },
  { path: "/rejudge", title: "Rejudge" },
];

export function App() {
  return (
    <SessionProvider>
      <Layout />
    </SessionProvider>
  );
}

function Layout() {
  const { path } = usePlace();
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${titleOf(path)} – Gavel`;
    // A reader of the previous page hears where they are now.
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
  }, [path]);
  return (
    <>
      <a
        class="skip-link"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="top">
        <div class="top-inner">
          <Link class="brand" href="/" aria-label="Gavel, overview">
            <Mark />
            Gavel
          </Link>
          <nav aria-label="Pages">
            <ul>
              {PAGES.map(({ path: target, title }) => (
                <li key={target}>
                  <Link href={target} aria-current={isCurrent(path, target) ? "page" : undefined}>
                    {title}
                  </Link>
                </li>
              ))}
            </ul>
          </nav>
          <div class="top-right">
            <ConnectionState />
            <Access />
          </div>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Page path={path} />
      </main>
      <Footer />
    </>
  );
}

function Page({ path }: { path: string }): ComponentChildren {
  if (path === "/") return <OverviewPage />;
  if (path === "/submissions") return <SubmissionsPage />;
  if (path === "/dead-letters") return <DeadLettersPage />;
  if (path === "/rejudge") return <RejudgePage />;
  const id = submissionIn(path);
  if (id !== undefined) return <SubmissionPage key={id} id={id} />;
  return (
    <>
      <h1>No such page</h1>
      <p>
        The console has no page {path}. <Link href="/">Go to the overview</Link>
      </p>
    </>
  );
}

function submissionIn(path: string): string | undefined {
  const name = /^\/submissions\/([^/]+)$/.exec(path)?.[1];
  try {
    return name === undefined ? undefined : decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

function isCurrent(path: string, target: string): boolean {
  return path === target || (target !== "/" && path.startsWith(`${target}/`));
}

function titleOf(path: string): string {
  const id = submissionIn(path);
  return id === undefined ? (PAGES.find((page) => page.path === path)?.title ?? "No such page") : id;
}

/** What this tab may do, and how to change that. */
function Access() {
  const { session, canChange, askForKey, forgetKey } = useSession();
  if (session === undefined) return null;
  if (!session.writable) return <span class="access">Read-only</span>;
  return canChange ? (
    <Button look="quiet" onClick={forgetKey} title={`Changes are recorded as made by ${session.operator}`}>
      Forget the key
    </Button>
  ) : (
    <Button look="quiet" onClick={askForKey}>
      Enter the key
    </Button>
  );
}

function Footer() {
  const { session } = useSession();
  const [theme, setTheme] = useState<Theme>(chosenTheme);
  const choose = (chosen: Theme) => {
    chooseTheme(chosen);
    setTheme(chosen);
  };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <footer>
      <p>
        {session && <>Gavel {session.version} · </>}Times are in {zone}
      </p>
      <label>
        Theme{" "}
        <select value={theme} onChange={(event) => choose(event.currentTarget.value as Theme)}>
          <option value="system">System</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </label>
    </footer>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 20 20" aria-hidden="true">
      <rect x="2.6" y="5.2" width="9.6" height="5.4" rx="1.2" transform="rotate(-45 7.4 7.9)" />
      <rect x="10.2" y="9" width="8.4" height="2.2" rx="1.1" transform="rotate(45 10.6 10.2)" />
      <rect x="2" y="16.2" width="10" height="2" rx="1" />
    </svg>
  );
}
