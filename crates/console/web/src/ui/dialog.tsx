import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface DialogProps {
  title: string;
  /** Called when it is closed, also with Escape. */
  onClose: () => void;
  /** Whether it must stay open. */
  isBusy?: boolean;
  wide?: boolean;
  children: ComponentChildren;
}

/** A modal dialog. The browser keeps the focus in it, and gives it back. */
export function Dialog({ title, onClose, isBusy = false, wide = false, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    if (dialog && !dialog.open) dialog.showModal();
  }, []);
  const cancel = (event: Event) => {
    if (isBusy) event.preventDefault();
  };
  return (
    <dialog ref={element} class={wide ? "wide" : ""} aria-labelledby={heading} onClose={onClose} onCancel={cancel}>
      <h2 id={heading}>{title}</h2>
      {children}
    </dialog>
  );
}
