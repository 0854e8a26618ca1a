import { Component, type ReactNode } from "react";
import { errorText } from "./errorText";

type Props = { children: ReactNode };

/** Shows the error of a part of the page in its place, with a button to try again. */
export class ErrorBoundary extends Component<Props, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <Failure error={error} onRetry={() => this.setState({ error: null })} />;
  }
}

/** An error with a button to try again. */
export function Failure({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  return (
    <div className="notice" data-kind="error" role="alert">
      <p>{errorText(error)}</p>
      <button type="button" className="button" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}
