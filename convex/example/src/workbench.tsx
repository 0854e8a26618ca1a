import type { LanguagesView } from "@gavel/convex/react";
import { useConvexConnectionState } from "convex/react";
import { lazy, Suspense, useEffect, useEffectEvent } from "react";
import type { Question } from "./questionPanel";
import type { useDrafts } from "./useDrafts";
import type { LanguageChoice } from "./useLanguageChoice";
import type { useSourceLoader } from "./useSourceLoader";
import { useSubmit } from "./useSubmit";

// The largest part of the page. The question can be read before it has loaded.
const Editor = lazy(() => import("./editor"));

type Props = {
  question: Question;
  languages: LanguagesView | null | undefined;
  choice: LanguageChoice;
  drafts: ReturnType<typeof useDrafts>;
  loader: ReturnType<typeof useSourceLoader>;
  onSubmitted: (submissionId: string) => void;
};

/** The language picker, the editor and the button that submits. */
export function Workbench({ question, languages, choice, drafts, loader, onSubmitted }: Props) {
  const { current } = choice;
  if (current === undefined) return <NoLanguage languages={languages} />;
  const sourceCode = drafts.read(current.id);
  const change = (text: string) => {
    loader.dismiss();
    drafts.write(current.id, text);
  };
  return (
    <section className="workbench" aria-label="Your program">
      <LanguagePicker languages={languages} choice={choice} />
      {/* Each language has its own editor, so that undo stays within one draft. */}
      <Suspense fallback={<p className="editor-loading muted">Loading the editor…</p>}>
        <Editor
          key={current.id}
          languageId={current.id}
          text={sourceCode}
          onChange={change}
          describedBy="editor-keys"
        />
      </Suspense>
      <LoaderNotice loader={loader} />
      <SubmitBar
        program={{ questionId: question.questionId, kind: question.kind, languageId: current.id, sourceCode }}
        obstacle={obstacle(languages, choice, sourceCode)}
        onSubmitted={onSubmitted}
      />
    </section>
  );
}

function NoLanguage({ languages }: { languages: LanguagesView | null | undefined }) {
  if (languages === undefined) return <p className="muted">Loading the languages…</p>;
  return (
    <div className="notice" role="status">
      <p>No judge is available at the moment. The editor opens as soon as one is.</p>
      {languages?.problem && <p>{languages.problem}</p>}
    </div>
  );
}

function LanguagePicker({ languages, choice }: Pick<Props, "languages" | "choice">) {
  const { current, options, isServed, choose } = choice;
  const version = languages?.languages.find(({ id }) => id === current?.id)?.version;
  return (
    <div className="toolbar">
      <label>
        <span>Language</span>
        <select value={current?.id} onChange={(event) => choose(Number(event.target.value))}>
          {options.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {isServed && version && <span className="muted">{version}</span>}
      {languages?.problem && <span className="muted">{languages.problem}</span>}
    </div>
  );
}

/** Why this program cannot be submitted now. `undefined` if it can. */
function obstacle(languages: Props["languages"], choice: LanguageChoice, sourceCode: string): string | undefined {
  if (languages === undefined) return "Loading the languages…";
  if (!languages?.languages.length) return "No judge is available at the moment.";
  if (!choice.isServed) return `No judge offers ${choice.current?.name} at the moment.`;
  if (sourceCode.trim() === "") return "Write a program first.";
  return undefined;
}

function LoaderNotice({ loader }: Pick<Props, "loader">) {
  return (
    <div role="status">
      {loader.error !== undefined && <p className="notice">{loader.error}</p>}
      {loader.isLoaded && (
        <p className="notice">
          The source of the submission is in the editor.{" "}
          <button type="button" className="quiet-button" onClick={loader.undo}>
            Undo
          </button>
        </p>
      )}
    </div>
  );
}

const IS_APPLE = /Mac|iPhone|iPad/.test(navigator.platform);

type SubmitBarProps = {
  program: Parameters<ReturnType<typeof useSubmit>["send"]>[0];
  obstacle: string | undefined;
  onSubmitted: (submissionId: string) => void;
};

function SubmitBar({ program, obstacle, onSubmitted }: SubmitBarProps) {
  const { send, isSending, error } = useSubmit(onSubmitted);
  const { isWebSocketConnected } = useConvexConnectionState();
  const sending = isWebSocketConnected ? "Sending…" : "Waiting for the connection to send it…";
  const reason = isSending ? sending : obstacle;
  const submit = () => {
    if (reason === undefined) void send(program);
  };
  useSubmitKey(submit);
  return (
    <>
      {error !== undefined && (
        <p className="notice" data-kind="error" role="alert">
          {error}
        </p>
      )}
      <div className="submit-bar">
        <p id="editor-keys" className="muted">
          Tab indents. Press <kbd>Esc</kbd>, then <kbd>Tab</kbd> to leave the editor.
        </p>
        <div className="submit-action">
          <p id="submit-reason" className="muted">
            {reason}
          </p>
          {/* It keeps the focus while it is disabled, and screen readers read the reason. */}
          <button
            type="button"
            className="button primary"
            aria-disabled={reason !== undefined}
            aria-describedby="submit-reason"
            aria-keyshortcuts={IS_APPLE ? "Meta+Enter" : "Control+Enter"}
            title={IS_APPLE ? "⌘ Enter" : "Ctrl+Enter"}
            onClick={submit}
          >
            Submit
          </button>
        </div>
      </div>
    </>
  );
}

/** Calls a function on Ctrl+Enter or Cmd+Enter, before the editor inserts a line. */
function useSubmitKey(submit: () => void) {
  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) submit();
  });
  useEffect(() => {
    document.addEventListener("keydown", onKey, { capture: true });
    return () => document.removeEventListener("keydown", onKey, { capture: true });
  }, []);
}
