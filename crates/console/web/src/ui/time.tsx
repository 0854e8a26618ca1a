import { moment } from "../format";

/** A point in time in the reader's time zone; in UTC as the title. */
export function Time({ at }: { at: string }) {
  return (
    <time dateTime={at} title={at.replace("T", " ").replace("Z", " UTC")}>
      {moment(at)}
    </time>
  );
}
