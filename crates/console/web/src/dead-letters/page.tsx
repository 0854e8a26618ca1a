import { useRef, useState } from "preact/hooks";
import { useLive } from "../api/live";
import { useResource } from "../api/use-resource";
import type { DeadLetterAction, DeadLetterGroup, DeadLetterGroups } from "../api/types";
import { ConnectionNote } from "../connection";
import { plural } from "../format";
import { NeedsKey, useSession } from "../session";
import { ActionDialog } from "../ui/action-dialog";
import { Announcement } from "../ui/announce";
import { Button } from "../ui/button";
import { Empty, Loading, ProblemNote } from "../ui/notes";
import { Time } from "../ui/time";
import { Items } from "./items";

/** Least time between two loads while dead letters come, in milliseconds. */
const RELOAD_MS = 1_000;

/** A change that the reader has asked for and has yet to confirm. */
interface Asked {
  action: "retry" | "drop";
  of: DeadLetterAction;
  count: number;
}

export function DeadLettersPage() {
  const groups = useResource<DeadLetterGroups>("/api/dead-letters");
  const { data, problem, reload } = groups;
  const [version, setVersion] = useState(0);
  const [asked, setAsked] = useState<Asked>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const changed = () => {
    reload();
    setVersion((number) => number + 1);
  };
  // The lists that are open keep their place.
  const reloadSoon = () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      reload();
    }, RELOAD_MS);
  };
  const live = useLive("?submissions=true&stage=dead", { submissions: reloadSoon, reload });
  return (
    <>
      <ConnectionNote live={live} />
      <h1>Dead letters</h1>
      <p class="lead">
        Events that failed permanently, by stage and cause. A retry judges the submission again as a new generation; a
        dropped one is removed.
      </p>
      {problem && problem.status !== 503 && <ProblemNote problem={problem} />}
      {!data && !problem && <Loading />}
      {data && (
        <>
          <Announcement text={plural(data.total, "dead letter")} />
          {data.total === 0 ? <Empty>There are no dead letters.</Empty> : <NeedsKey to="retry or drop dead letters" />}
          {data.truncated && <p class="note quiet">There are more dead letters than the console reads at a time.</p>}
          {data.groups.map((group) => (
            <Group key={`${group.stage} ${group.cause}`} group={group} version={version} onAsk={setAsked} />
          ))}
        </>
      )}
      {asked && <Confirmation asked={asked} onClose={() => setAsked(undefined)} onChange={changed} />}
    </>
  );
}

interface GroupProps {
  group: DeadLetterGroup;
  version: number;
  onAsk: (asked: Asked) => void;
}

function Group({ group, version, onAsk }: GroupProps) {
  const { stage, cause, count, oldest, newest, retryable } = group;
  const { canChange } = useSession();
  const [isOpen, setIsOpen] = useState(false);
  return (
    <article class="dead-group" aria-label={`${stage}: ${cause}`}>
      <h2>
        <span class="dead-count">{count}</span> <span class="dead-stage">{stage === "" ? "unknown stage" : stage}</span>
      </h2>
      <p class="cause">{cause === "" ? "No cause is stored" : cause}</p>
      <p class="muted">
        {count === 1 ? "at " : "from "}
        <Time at={oldest} />
        {count > 1 && (
          <>
            {" "}
            to <Time at={newest} />
          </>
        )}
      </p>
      <div class="buttons start">
        <Button aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
          {isOpen ? "Hide" : "Show"}
        </Button>
        {canChange && (
          <>
            {retryable > 0 && (
              <Button onClick={() => onAsk({ action: "retry", of: { stage, cause }, count: retryable })}>
                {count === 1 ? "Retry" : `Retry all ${retryable}`}
              </Button>
            )}
            <Button look="quiet" onClick={() => onAsk({ action: "drop", of: { stage, cause }, count })}>
              {count === 1 ? "Drop" : `Drop all ${count}`}
            </Button>
          </>
        )}
      </div>
      {isOpen && (
        <Items
          key={version}
          stage={stage}
          cause={cause}
          onAsk={(action, sequences) => onAsk({ action, of: { sequences }, count: sequences.length })}
        />
      )}
    </article>
  );
}

function Confirmation({ asked, onClose, onChange }: { asked: Asked; onClose: () => void; onChange: () => void }) {
  const { action, of, count } = asked;
  const isRetry = action === "retry";
  return (
    <ActionDialog
      title={`${isRetry ? "Retry" : "Drop"} ${plural(count, "dead letter")}?`}
      confirm={isRetry ? "Retry" : "Drop"}
      isDestructive={!isRetry}
      path={`/api/dead-letters/${action}`}
      body={of}
      onClose={onClose}
      onChange={onChange}
    >
      {isRetry ? (
        <p>Each submission is judged again as a new generation, and Convex gets its verdict.</p>
      ) : (
        <p>They are removed permanently. Their submissions are not judged and Convex is not called.</p>
      )}
      {"cause" in of && (
        <p>
          Cause: <span class="cause-inline">{of.cause}</span>
        </p>
      )}
    </ActionDialog>
  );
}
