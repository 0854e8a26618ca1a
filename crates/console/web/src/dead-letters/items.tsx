import { useState } from "preact/hooks";
import { get, query, RequestProblem } from "../api/client";
import { useResource } from "../api/use-resource";
import type { DeadLetter, DeadLetterPage } from "../api/types";
import { count } from "../format";
import { Link, submissionPage } from "../router";
import { useSession } from "../session";
import { Button } from "../ui/button";
import { Loading, ProblemNote } from "../ui/notes";
import { Column, Table } from "../ui/table";
import { Time } from "../ui/time";
import { DeadLetterDialog } from "./show";

const PAGE = 100;

interface ItemsProps {
  stage: string;
  cause: string;
  onAsk: (action: "retry" | "drop", sequences: number[]) => void;
}

/** The dead letters of a group, to look at and to select. */
export function Items({ stage, cause, onAsk }: ItemsProps) {
  const path = (after?: number) => `/api/dead-letters/items${query({ stage, cause, after, limit: PAGE })}`;
  const first = useResource<DeadLetterPage>(path());
  const [more, setMore] = useState<DeadLetterPage>();
  const [problem, setProblem] = useState<RequestProblem>();
  const [selected, setSelected] = useState<ReadonlySet<number>>(new Set());
  const [shown, setShown] = useState<number>();
  const { canChange } = useSession();
  const items = [...(first.data?.items ?? []), ...(more?.items ?? [])];
  const next = more ? more.next : first.data?.next;

  const loadMore = async () => {
    try {
      const page = await get<DeadLetterPage>(path(next));
      setMore({ ...page, items: [...(more?.items ?? []), ...page.items] });
    } catch (error) {
      if (!(error instanceof RequestProblem)) throw error;
      setProblem(error);
    }
  };
  const toggle = (sequence: number) => {
    const changed = new Set(selected);
    if (!changed.delete(sequence)) changed.add(sequence);
    setSelected(changed);
  };
  const all = items.map(({ sequence }) => sequence);
  const areAllSelected = selected.size === all.length && all.length > 0;

  if (!first.data && !first.problem) return <Loading />;
  return (
    <>
      {(problem ?? first.problem) && <ProblemNote problem={(problem ?? first.problem) as RequestProblem} />}
      {canChange && (
        <div class="buttons start selection">
          <label class="check">
            <input
              type="checkbox"
              checked={areAllSelected}
              onChange={() => setSelected(new Set(areAllSelected ? [] : all))}
            />
            Select all listed
          </label>
          <Button disabled={selected.size === 0} onClick={() => onAsk("retry", [...selected])}>
            Retry {count(selected.size)} selected
          </Button>
          <Button look="quiet" disabled={selected.size === 0} onClick={() => onAsk("drop", [...selected])}>
            Drop {count(selected.size)} selected
          </Button>
        </div>
      )}
      <Table
        caption={`Dead letters of the ${stage}: ${cause}`}
        head={
          <>
            {canChange && <Column>Select</Column>}
            <Column>Submission</Column>
            <Column>Time</Column>
            <Column number class="wide-only">
              Attempts
            </Column>
            <Column>Actions</Column>
          </>
        }
      >
        {items.map((item) => (
          <tr key={item.sequence}>
            {canChange && (
              <td>
                <input
                  type="checkbox"
                  aria-label={`Select ${item.key}`}
                  checked={selected.has(item.sequence)}
                  onChange={() => toggle(item.sequence)}
                />
              </td>
            )}
            <th scope="row">
              <Key item={item} />
            </th>
            <td>
              <Time at={item.diedAt} />
            </td>
            <td class="number wide-only">{item.attempts}</td>
            <td>
              <Button look="quiet" onClick={() => setShown(item.sequence)} aria-label={`Details of ${item.key}`}>
                Details
              </Button>
            </td>
          </tr>
        ))}
      </Table>
      {next !== undefined && (
        <p class="more">
          <Button onClick={() => void loadMore()}>Load more</Button>
        </p>
      )}
      {shown !== undefined && <DeadLetterDialog sequence={shown} onClose={() => setShown(undefined)} />}
    </>
  );
}

function Key({ item: { id, key, generation = 1 } }: { item: DeadLetter }) {
  if (id === undefined) return <span class="id">{key}</span>;
  return (
    <>
      <Link class="id" href={submissionPage(id)}>
        {id}
      </Link>
      {generation > 1 && <span class="generation"> generation {generation}</span>}
    </>
  );
}
