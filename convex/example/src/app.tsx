import { useConvexAuth } from "convex/react";
import { useEffect, useRef } from "react";
import { ConnectionBanner } from "./connectionBanner";
import { ErrorBoundary, Failure } from "./errorBoundary";
import { NotFound } from "./notFound";
import { QuestionsPage } from "./questionsPage";
import { QUESTIONS, useRoute } from "./route";
import type { SignIn } from "./session";
import { SolvePage } from "./solvePage";
import { ThemeButton } from "./theme";
import { useDelayed } from "./useDelayed";

/** The whole page: a bar, and below it the page that the address names. */
export function App({ signIn }: { signIn: SignIn }) {
  return (
    <>
      <header className="bar">
        <span className="wordmark">Gavel</span>
        <nav aria-label="Main">
          <a href={QUESTIONS}>Questions</a>
        </nav>
        <ThemeButton />
      </header>
      <ConnectionBanner />
      <Content signIn={signIn} />
    </>
  );
}

function Content({ signIn }: { signIn: SignIn }) {
  const { isLoading, isAuthenticated } = useConvexAuth();
  const route = useRoute();
  useFocusOnNavigation(route.page === "solve" ? route.slug : route.page);
  if (isAuthenticated) {
    // Another question starts with a new state, also after an error.
    const key = route.page === "solve" ? route.slug : route.page;
    return (
      <ErrorBoundary key={key}>
        {route.page === "questions" && <QuestionsPage />}
        {route.page === "solve" && <SolvePage key={key} slug={route.slug} submissionId={route.submissionId} />}
        {route.page === "unknown" && (
          <main className="column" tabIndex={-1}>
            <NotFound what="page" />
          </main>
        )}
      </ErrorBoundary>
    );
  }
  return (
    <main className="column" tabIndex={-1}>
      {isLoading || signIn.error === undefined ? (
        <SigningIn />
      ) : (
        <>
          <h1>Signing in failed</h1>
          <Failure error={signIn.error} onRetry={signIn.retry} />
        </>
      )}
    </main>
  );
}

/** Moves the focus to the content when another page is shown, as a browser does when it loads one. */
function useFocusOnNavigation(key: string) {
  const shown = useRef(key);
  useEffect(() => {
    if (shown.current === key) return;
    shown.current = key;
    document.querySelector("main")?.focus();
  }, [key]);
}

function SigningIn() {
  const isSlow = useDelayed(true, 5000);
  return (
    <p className="muted" role="status">
      {isSlow ? "Still signing in. The server may be unreachable. The page keeps trying." : "Signing in…"}
    </p>
  );
}
