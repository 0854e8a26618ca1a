import type { ComponentChildren } from "preact";

interface TableProps {
  /** The name of the table for screen readers. */
  caption: string;
  head: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}

/** A table that scrolls sideways in itself, also with the keyboard. */
export function Table({ caption, head, children, class: extra = "" }: TableProps) {
  return (
    // What scrolls must be reachable with the keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div class="table-scroll" role="group" aria-label={caption} tabIndex={0}>
      <table class={extra}>
        <caption class="visually-hidden">{caption}</caption>
        <thead>
          <tr>{head}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** The head of a column. */
export function Column({ children, number = false, class: extra = "" }: ColumnProps) {
  return (
    <th scope="col" class={`${number ? "number" : ""} ${extra}`}>
      {children}
    </th>
  );
}

interface ColumnProps {
  children: ComponentChildren;
  number?: boolean;
  class?: string;
}
