import { useState } from "preact/hooks";
import { getWithKey, RequestProblem } from "../api/client";
import { useResource } from "../api/use-resource";
import type { DeadLetterShow, DeadLetterSource } from "../api/types";
import { useSession } from "../session";
import { Button, CopyButton } from "../ui/button";
import { Commands } from "../ui/command";
import { Dialog } from "../ui/dialog";
import { Loading, ProblemNote } from "../ui/notes";
import { Time } from "../ui/time";

/** A dead letter with the event that failed and the history of its submission. */
export function DeadLetterDialog({ sequence, onClose }: { sequence: number; onClose: () => void }) {
  const { data, problem } = useResource<DeadLetterShow>(`/api/dead-letters/${sequence}`);
  return (
    <Dialog title={data ? `Dead letter ${data.key}` : "Dead letter"} onClose={onClose} wide>
      {problem && <ProblemNote problem={problem} />}
      {!data && !problem && <Loading />}
      {data && <Contents of={data} />}
      <div class="buttons">
        <Button look="primary" onClick={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}

function Contents({ of }: { of: DeadLetterShow }) {
  const facts: [string, string | number | undefined][] = [
    ["Stage", of.stage],
    ["Attempts", of.attempts],
    ["Subject", of.subject],
    ["Request", of.requestId],
    ["Size in bytes", of.bytes],
  ];
  return (
    <>
      <p class="cause">{of.cause}</p>
      <dl class="facts">
        {facts.map(([name, value]) =>
          value === undefined ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd class={typeof value === "string" ? "id" : ""}>{value}</dd>
            </div>
          ),
        )}
        {Object.entries(of.message).map(([name, value]) => (
          <div key={name}>
            <dt>{wordsOf(name)}</dt>
            <dd class="id">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
          </div>
        ))}
      </dl>
      {of.history.length > 0 && (
        <>
          <h3>History</h3>
          <ol class="history">
            {of.history.map(({ event, generation, at }) => (
              <li key={`${event} ${generation} ${at}`}>
                <Time at={at} /> {event}
                {generation > 1 && ` (generation ${generation})`}
              </li>
            ))}
          </ol>
        </>
      )}
      <SourceOf sequence={of.sequence} />
      <h3>In a terminal</h3>
      <Commands commands={of.commands} />
    </>
  );
}

/** `questionId` as `Question id`. */
function wordsOf(name: string): string {
  const words = name.replace(/[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function SourceOf({ sequence }: { sequence: number }) {
  const { canChange } = useSession();
  const [loaded, setLoaded] = useState<DeadLetterSource>();
  const [problem, setProblem] = useState<RequestProblem>();
  const load = async () => {
    try {
      setLoaded(await getWithKey<DeadLetterSource>(`/api/dead-letters/${sequence}/source`));
    } catch (error) {
      if (!(error instanceof RequestProblem)) throw error;
      setProblem(error);
    }
  };
  if (!canChange) return null;
  if (problem) return <ProblemNote problem={problem} />;
  if (!loaded) {
    return (
      <p class="with-button">
        <Button onClick={() => void load()}>Show source</Button>
        <span class="hint">The console logs who looks at it.</span>
      </p>
    );
  }
  if (loaded.source === undefined) return <p class="muted">Its message has no source.</p>;
  return (
    <div class="text-block">
      <div class="text-head">
        <h3>Source code</h3>
        <CopyButton text={loaded.source} what="source code" />
      </div>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a region that scrolls */}
      <pre tabIndex={0} role="region" aria-label="Source code">
        {loaded.source}
      </pre>
    </div>
  );
}
