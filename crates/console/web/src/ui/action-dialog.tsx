import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { RequestProblem } from "../api/client";
import { runAction, type Progress } from "../api/run-action";
import { plural } from "../format";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { ProblemNote } from "./notes";
import { Outcomes } from "./outcomes";

interface ActionDialogProps {
  /** A question, such as "Retry 3 dead letters?". */
  title: string;
  /** The label of the button that does it. */
  confirm: string;
  isDestructive?: boolean;
  path: string;
  body: unknown;
  onClose: () => void;
  /** Called after each request that may have changed something. */
  onChange: () => void;
  /** What it does. */
  children: ComponentChildren;
}

/** Asks before a change, shows its progress, and reports what it did. */
export function ActionDialog({
  title,
  confirm,
  isDestructive = false,
  path,
  body,
  onClose,
  onChange,
  children,
}: ActionDialogProps) {
  const [state, setState] = useState<"asking" | "running" | "ended">("asking");
  const [progress, setProgress] = useState<Progress>({ outcomes: [], left: 0 });
  const [problem, setProblem] = useState<RequestProblem>();
  const isStopped = useRef(false);
  const run = async () => {
    setState("running");
    try {
      await runAction(path, body, setProgress, () => isStopped.current);
    } catch (error) {
      if (!(error instanceof RequestProblem)) throw error;
      setProblem(error);
    } finally {
      setState("ended");
      onChange();
    }
  };
  return (
    <Dialog title={title} onClose={onClose} isBusy={state === "running"} wide={state === "ended"}>
      {state === "asking" && <div class="dialog-text">{children}</div>}
      <div role="status">
        {state === "running" && (
          <p>
            {progress.outcomes.length} done{progress.left > 0 ? `, ${plural(progress.left, "item")} left` : ""}…
          </p>
        )}
        {state === "ended" && (progress.outcomes.length > 0 || !problem) && (
          <Outcomes outcomes={progress.outcomes} caption="Outcomes" />
        )}
        {state === "ended" && progress.left > 0 && (
          <p>{plural(progress.left, "item")} left. Do it again to continue.</p>
        )}
      </div>
      {progress.problem !== undefined && <ProblemNote problem={{ message: progress.problem }} />}
      {problem && <ProblemNote problem={problem} />}
      <div class="buttons">
        {state === "asking" && (
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button look={isDestructive ? "danger" : "primary"} onClick={() => void run()}>
              {confirm}
            </Button>
          </>
        )}
        {state === "running" && <Button onClick={() => (isStopped.current = true)}>Stop</Button>}
        {state === "ended" && (
          <Button look="primary" onClick={onClose}>
            Close
          </Button>
        )}
      </div>
    </Dialog>
  );
}
