import { useMemo } from "react";
import { compareOutputs, type Row } from "./compareOutputs.js";
import { describeDifference } from "./describeDifference.js";
import type { LineView } from "./diffLine.js";
import { VisibleText } from "./visibleText.js";
import { VisuallyHidden } from "./visuallyHidden.js";

/** Shows the expected and the actual output side by side from the first difference on, with visible white space. */
export function OutputDiff({ expected, actual }: { expected: string; actual: string }) {
  const comparison = useMemo(() => compareOutputs(expected, actual), [expected, actual]);
  const sentences = useMemo(() => describeDifference(comparison), [comparison]);
  return (
    <div className="gavel-comparison">
      <p className="gavel-difference">{sentences.join(" ")}</p>
      <table className="gavel-diff">
        <caption>
          <VisuallyHidden>Expected output and your output, line by line</VisuallyHidden>
        </caption>
        <thead>
          <tr>
            <th scope="col">Expected</th>
            <th scope="col">Your output</th>
          </tr>
        </thead>
        <tbody>
          {comparison.rows.map((row, index) => (
            <DiffRow key={index} row={row} />
          ))}
        </tbody>
      </table>
      {comparison.hasMore && <p className="gavel-more">More lines follow. They are not shown.</p>}
    </div>
  );
}

function DiffRow({ row }: { row: Row }) {
  if (row.kind === "fold") {
    return (
      <tr data-state="fold">
        <td colSpan={2}>{row.count === 1 ? "1 equal line" : `${row.count} equal lines`}</td>
      </tr>
    );
  }
  const expected = "expected" in row ? row.expected : undefined;
  const actual = "actual" in row ? row.actual : undefined;
  return (
    <tr data-state={row.kind}>
      <Cell side="expected" kind={row.kind} line={expected} />
      <Cell side="actual" kind={row.kind} line={actual} />
    </tr>
  );
}

type CellProps = { side: "expected" | "actual"; kind: Exclude<Row["kind"], "fold">; line: LineView | undefined };

function Cell({ side, kind, line }: CellProps) {
  if (line === undefined) {
    const text = kind === "unknown" ? "cut off" : "no line";
    return (
      <td data-side={side} data-empty="">
        <VisuallyHidden>{text}</VisuallyHidden>
      </td>
    );
  }
  const isDifferent = kind !== "same" && kind !== "unknown";
  return (
    <td data-side={side}>
      <span className="gavel-line-number">{line.number}</span>{" "}
      {/* The sign says without colour on which side the line is. */}
      <span className="gavel-sign" aria-hidden="true">
        {!isDifferent ? "\u2007" : side === "expected" ? "−" : "+"}
      </span>{" "}
      {isDifferent && <VisuallyHidden>different: </VisuallyHidden>}
      <code>
        {line.isCroppedBefore && <Ellipsis />}
        {line.segments.map((segment, index) =>
          segment.isDifferent ? (
            <mark key={index}>
              <VisibleText text={segment.text} />
            </mark>
          ) : (
            <VisibleText key={index} text={segment.text} />
          ),
        )}
        {line.isCroppedAfter && <Ellipsis />}
      </code>
    </td>
  );
}

function Ellipsis() {
  return (
    <span className="gavel-cropped" title="Characters are left out">
      …
    </span>
  );
}
