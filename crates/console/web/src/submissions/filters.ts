// The filters of the list, which are those of `gavel tap`, in the address of the page.

export const STAGES = ["queued", "ready", "waiting", "running", "judged", "reported", "rejudged", "dead"];
export const STATUSES = ["passed", "failed", "error"];

const NAMES = ["id", "question", "stage", "lang", "status", "kind", "errors", "slow", "where", "since"] as const;

export type Filters = Partial<Record<(typeof NAMES)[number], string>>;

/** Reads the filters of an address; others are ignored. */
export function filtersOf(query: string): Filters {
  const parameters = new URLSearchParams(query);
  const filters: Filters = {};
  for (const name of NAMES) {
    const value = parameters.getAll(name).join(",").trim();
    if (value !== "") filters[name] = value;
  }
  return filters;
}

/** The equivalent command in a terminal. */
export function tapCommand({ since, errors, ...rest }: Filters): string {
  const options = Object.entries(rest).map(([name, value]) => `--${name} ${quoted(value)}`);
  const range = since === undefined ? [] : [`--since ${quoted(since)}`];
  return ["gavel tap", ...range, ...(errors === "true" ? ["--errors"] : []), ...options].join(" ");
}

function quoted(value: string): string {
  return /^[\w.,:+-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
