import { useState } from "preact/hooks";
import { getWithKey, RequestProblem } from "../api/client";
import type { Source, SourceOfGeneration } from "../api/types";
import { NeedsKey, useSession } from "../session";
import { Button, CopyButton } from "../ui/button";
import { Empty, ProblemNote } from "../ui/notes";

/** The source code and the outputs of a submission, on request and with the key. */
export function SourcePanel({ id }: { id: string }) {
  const { canChange } = useSession();
  const [source, setSource] = useState<Source>();
  const [problem, setProblem] = useState<RequestProblem>();
  const load = async () => {
    try {
      setSource(await getWithKey<Source>(`/api/submissions/${encodeURIComponent(id)}/source`));
      setProblem(undefined);
    } catch (error) {
      if (!(error instanceof RequestProblem)) throw error;
      setProblem(error);
    }
  };
  return (
    <section aria-labelledby="source">
      <h2 id="source">Source and output</h2>
      <NeedsKey to="see the source code and the compiler's output" />
      {problem && <ProblemNote problem={problem} />}
      {canChange && !source && (
        <p class="with-button">
          <Button onClick={() => void load()}>Show source and output</Button>
          <span class="hint">The console logs who looks at them.</span>
        </p>
      )}
      {canChange && source?.generations.length === 0 && <Empty>No source is stored any more.</Empty>}
      {canChange && source?.generations.toReversed().map((each) => <Texts key={each.generation} of={each} />)}
    </section>
  );
}

function Texts({ of }: { of: SourceOfGeneration }) {
  const { generation, source, compileOutput, stderr, firstFailure } = of;
  return (
    <>
      <h3>Generation {generation}</h3>
      <Text title="Source code" text={source} />
      <Text title="Compiler output" text={compileOutput} />
      <Text title="Standard error" text={stderr} />
      {firstFailure && (
        <>
          <p>
            Test {firstFailure.index + 1} failed first: {firstFailure.errorMessage}
          </p>
          <Text title="Input" text={firstFailure.stdin} />
          <Text title="Expected output" text={firstFailure.expectedOutput} />
          <Text title="Output of the program" text={firstFailure.actualOutput} />
        </>
      )}
    </>
  );
}

function Text({ title, text }: { title: string; text: string | undefined }) {
  if (text === undefined || text === "") return null;
  return (
    <div class="text-block">
      <div class="text-head">
        <h4>{title}</h4>
        <CopyButton text={text} what={title} />
      </div>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a region that scrolls */}
      <pre tabIndex={0} role="region" aria-label={title}>
        {text}
      </pre>
    </div>
  );
}
