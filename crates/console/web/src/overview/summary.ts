import type { Minute, Overview } from "../api/types";
import { plural } from "../format";

/** What the pipeline does at present, in a sentence. */
export function summary({ stages, instances }: Pick<Overview, "stages" | "instances">, minutes: Minute[]): string {
  const waiting = stages.reduce((sum, stage) => sum + stage.waiting, 0);
  const running = instances.reduce((sum, { service, busy }) => sum + (service === "judge" ? busy : 0), 0);
  const verdicts = minutes.reduce((sum, { passed, failed, error }) => sum + passed + failed + error, 0);
  const now = [running > 0 ? `${plural(running, "submission")} running` : "", waiting > 0 ? `${waiting} waiting` : ""];
  const present = now.filter((part) => part !== "").join(", ") || "No submission waits or runs";
  return `${present}. ${verdicts === 0 ? "No verdict" : plural(verdicts, "verdict")} in the last hour.`;
}
