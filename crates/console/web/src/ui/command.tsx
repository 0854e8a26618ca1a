import type { Command } from "../api/types";
import { CopyButton } from "./button";

/** Commands that do the same in a terminal. */
export function Commands({ commands }: { commands: Command[] }) {
  return (
    <ul class="commands">
      {commands.map(({ title, command }) => (
        <li key={command}>
          <span class="command-title">{title}</span>
          <div class="command">
            <code>{command}</code>
            <CopyButton text={command} what={title} />
          </div>
        </li>
      ))}
    </ul>
  );
}
