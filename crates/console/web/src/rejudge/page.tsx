import { useState } from "preact/hooks";
import { RequestProblem } from "../api/client";
import { runAction } from "../api/run-action";
import type { Outcome, RejudgeRequest, RejudgeResult } from "../api/types";
import { plural } from "../format";
import { NeedsKey, useSession } from "../session";
import { ActionDialog } from "../ui/action-dialog";
import { Button } from "../ui/button";
import { ProblemNote } from "../ui/notes";
import { Outcomes } from "../ui/outcomes";
import { Time } from "../ui/time";
import { requestOf, type Fields } from "./request";

const EMPTY: Fields = { by: "ids", ids: "", question: "", since: "1h", reason: "" };

/** A dry run: what it would do, and the request that would do it. */
interface DryRun {
  request: RejudgeRequest;
  outcomes: Outcome[];
  left: number;
  run: RejudgeResult["run"];
}

export function RejudgePage() {
  const { canChange } = useSession();
  // The page of a submission links here with its id.
  const [fields, setFields] = useState(() => ({
    ...EMPTY,
    ids: new URLSearchParams(window.location.search).get("id") ?? "",
  }));
  const [dryRun, setDryRun] = useState<DryRun>();
  const [problem, setProblem] = useState<Pick<RequestProblem, "message" | "remedy">>();
  const [isBusy, setIsBusy] = useState(false);
  const [isAsking, setIsAsking] = useState(false);
  const [hasRun, setHasRun] = useState(false);
  const change = (changed: Partial<Fields>) => {
    setFields({ ...fields, ...changed });
    // The button below it must do what the dry run has shown.
    setDryRun(undefined);
  };

  const check = async (event: SubmitEvent) => {
    event.preventDefault();
    setDryRun(undefined);
    const request = requestOf(fields);
    if (typeof request === "string") return setProblem({ message: request });
    setProblem(undefined);
    setIsBusy(true);
    try {
      setDryRun(await tryOut(request));
    } catch (error) {
      if (!(error instanceof RequestProblem)) throw error;
      setProblem(error);
    } finally {
      setIsBusy(false);
    }
  };

  const close = () => {
    setIsAsking(false);
    // What the dry run has shown is done.
    if (hasRun) setDryRun(undefined);
    setHasRun(false);
  };

  const startable = dryRun?.outcomes.filter(({ outcome }) => outcome !== "refused").length ?? 0;
  const total = startable + (dryRun?.left ?? 0);
  return (
    <>
      <h1>Rejudge</h1>
      <p class="lead">
        Judge submissions again, each as a new generation with test cases fetched again. The dry run shows what would
        happen and changes nothing.
      </p>
      <NeedsKey to="rejudge submissions" />
      <form class="form rejudge" onSubmit={(event) => void check(event)}>
        <fieldset>
          <legend>Which submissions</legend>
          <div class="choices">
            <Choice label="By id" isChosen={fields.by === "ids"} onChoose={() => change({ by: "ids" })} />
            <Choice
              label="By question"
              isChosen={fields.by === "question"}
              onChoose={() => change({ by: "question" })}
            />
          </div>
          {fields.by === "ids" ? (
            <label>
              Submission ids
              <textarea
                rows={4}
                value={fields.ids}
                spellcheck={false}
                onInput={(event) => change({ ids: event.currentTarget.value })}
              />
            </label>
          ) : (
            <div class="filter-row">
              <label>
                Question id
                <input
                  value={fields.question}
                  spellcheck={false}
                  autocomplete="off"
                  onInput={(event) => change({ question: event.currentTarget.value })}
                />
              </label>
              <label>
                Queued since
                <input
                  value={fields.since}
                  placeholder="2h or 2026-01-31T12:00:00Z"
                  autocomplete="off"
                  onInput={(event) => change({ since: event.currentTarget.value })}
                />
              </label>
            </div>
          )}
          <label>
            Reason to record
            <input
              value={fields.reason}
              placeholder="rejudged by hand"
              onInput={(event) => change({ reason: event.currentTarget.value })}
            />
          </label>
        </fieldset>
        {problem && <ProblemNote problem={problem} />}
        <div class="buttons start">
          <Button type="submit" disabled={!canChange || isBusy}>
            {isBusy ? "Checking…" : "Dry run"}
          </Button>
        </div>
      </form>
      {dryRun && (
        <section aria-labelledby="dry-run">
          <h2 id="dry-run">Dry run</h2>
          {dryRun.run && dryRun.run.done > 0 && (
            <p>
              The run of <Time at={dryRun.run.beganAt} /> continues: {dryRun.run.done} of {dryRun.run.total} are judged
              again already.
            </p>
          )}
          <div role="status">
            <Outcomes outcomes={dryRun.outcomes} caption="Outcomes of the dry run" />
            {dryRun.left > 0 && <p>{plural(dryRun.left, "submission")} more are not listed here.</p>}
          </div>
          {total > 0 && (
            <div class="buttons start">
              <Button look="primary" onClick={() => setIsAsking(true)}>
                Rejudge {plural(total, "submission")}
              </Button>
            </div>
          )}
        </section>
      )}
      {isAsking && dryRun && (
        <ActionDialog
          title={`Rejudge ${plural(total, "submission")}?`}
          confirm="Rejudge"
          path="/api/rejudge"
          body={dryRun.request}
          onClose={close}
          onChange={() => setHasRun(true)}
        >
          <p>Each is judged again as a new generation, and Convex gets its new verdict.</p>
        </ActionDialog>
      )}
    </>
  );
}

/** One dry run. Its request has the start of the range as a time, so that the real run covers the same submissions. */
async function tryOut(request: RejudgeRequest): Promise<DryRun> {
  let dryRun: DryRun = { request, outcomes: [], left: 0, run: undefined };
  const once = () => true;
  await runAction<RejudgeResult>(
    "/api/rejudge",
    { ...request, dryRun: true },
    ({ outcomes, left }, { run, since }) => {
      dryRun = { request: since === undefined ? request : { ...request, since }, outcomes, left, run };
    },
    once,
  );
  return dryRun;
}

function Choice({ label, isChosen, onChoose }: { label: string; isChosen: boolean; onChoose: () => void }) {
  return (
    <label class="check">
      <input type="radio" name="by" checked={isChosen} onChange={onChoose} />
      {label}
    </label>
  );
}
