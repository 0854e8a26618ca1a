import type { Row } from "../api/types";

export type Tone = "good" | "learner" | "fault" | "busy" | "quiet";

/** Text with a dot; the text alone says everything. */
export function Badge({ tone, children }: { tone: Tone; children: string }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

/** The state of a submission in one word. */
export function StateBadge({ row }: { row: Pick<Row, "stage" | "status"> }) {
  const [tone, text] = stateOf(row);
  return <Badge tone={tone}>{text}</Badge>;
}

function stateOf({ stage, status }: Pick<Row, "stage" | "status">): [Tone, string] {
  if (stage === "dead") return ["fault", "dead letter"];
  if (status === "passed") return ["good", stage === "judged" ? "passed, not reported" : "passed"];
  if (status === "failed") return ["learner", stage === "judged" ? "failed, not reported" : "failed"];
  if (status === "error") return ["fault", stage === "judged" ? "error, not reported" : "error"];
  if (stage === "running") return ["busy", "running"];
  return [stage === "undecodable" ? "fault" : "quiet", stage];
}
