import { useEffect, useId, useState } from "preact/hooks";
import { query } from "../api/client";
import { navigate } from "../router";
import { Button, CopyButton } from "../ui/button";
import { STAGES, STATUSES, tapCommand, type Filters } from "./filters";

/** Wait after the last key before the list follows, in milliseconds. */
const TYPING_MS = 400;

/** The filters of the list. They are applied while they are changed, and are part of the address. */
export function FilterForm({ filters }: { filters: Filters }) {
  const apply = (changed: Filters) => navigate(`/submissions${query({ ...filters, ...changed })}`, "replace");
  const help = useId();
  const isFiltered = Object.keys(filters).length > 0;
  const hasMore = ["lang", "kind", "slow", "since", "where"].some((name) => name in filters);
  return (
    <form class="filters" role="search" aria-label="Submissions" onSubmit={(event) => event.preventDefault()}>
      <div class="filter-row">
        <TextFilter label="Id" value={filters.id} onChange={(id) => apply({ id })} />
        <TextFilter label="Question" value={filters.question} onChange={(question) => apply({ question })} />
        <Choice label="State" value={filters.stage} values={STAGES} onChange={(stage) => apply({ stage })} />
        <Choice label="Verdict" value={filters.status} values={STATUSES} onChange={(status) => apply({ status })} />
        <label class="check">
          <input
            type="checkbox"
            checked={filters.errors === "true"}
            onChange={(event) => apply({ errors: event.currentTarget.checked ? "true" : "" })}
          />
          Errors only
        </label>
        {isFiltered && (
          <Button look="quiet" onClick={() => navigate("/submissions", "replace")}>
            Clear
          </Button>
        )}
      </div>
      <details class="more-filters" open={hasMore}>
        <summary>More filters</summary>
        <div class="filter-row">
          <TextFilter label="Language" value={filters.lang} onChange={(lang) => apply({ lang })} hint="python or 71" />
          <Choice
            label="Kind"
            value={filters.kind}
            values={["standard", "personalized"]}
            onChange={(kind) => apply({ kind })}
          />
          <TextFilter label="Slower than" value={filters.slow} onChange={(slow) => apply({ slow })} hint="5s" />
          <TextFilter label="Since" value={filters.since} onChange={(since) => apply({ since })} hint="6h" />
        </div>
        <div class="filter-row">
          <TextFilter
            wide
            label="Expression"
            value={filters.where}
            onChange={(where) => apply({ where })}
            hint="status == failed and durationMs > 5s"
            describedBy={help}
          />
        </div>
        <p id={help} class="hint">
          The expression of <code>gavel tap --where</code>; <code>gavel tap --help</code> lists the fields. Without{" "}
          <em>Since</em> the list shows the last hour.
        </p>
        <div class="command">
          <code>{tapCommand(filters)}</code>
          <CopyButton text={tapCommand(filters)} what="the equivalent command" />
        </div>
      </details>
    </form>
  );
}

interface TextFilterProps {
  label: string;
  value: string | undefined;
  onChange: (value: string) => void;
  hint?: string;
  wide?: boolean;
  describedBy?: string;
}

function TextFilter({ label, value = "", onChange, hint = "", wide = false, describedBy }: TextFilterProps) {
  const [typed, setTyped] = useState(value);
  const [applied, setApplied] = useState(value);
  // The address has changed by other means, such as the Back button.
  if (applied !== value) {
    setApplied(value);
    setTyped(value);
  }
  useEffect(() => {
    if (typed.trim() === value) return;
    const timer = setTimeout(() => onChange(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  });
  return (
    <label class={wide ? "wide" : ""}>
      {label}
      <input
        type="text"
        value={typed}
        placeholder={hint}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-describedby={describedBy}
        onInput={(event) => setTyped(event.currentTarget.value)}
      />
    </label>
  );
}

interface ChoiceProps {
  label: string;
  value: string | undefined;
  values: string[];
  onChange: (value: string) => void;
}

function Choice({ label, value = "", values, onChange }: ChoiceProps) {
  // An address may name several.
  const all = value === "" || values.includes(value) ? values : [value, ...values];
  return (
    <label>
      {label}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">any</option>
        {all.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}
