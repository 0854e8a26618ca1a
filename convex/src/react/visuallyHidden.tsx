import type { CSSProperties, ReactNode } from "react";

const style: CSSProperties = {
  position: "absolute",
  width: 1,
  height: 1,
  margin: -1,
  overflow: "hidden",
  clipPath: "inset(50%)",
  whiteSpace: "nowrap",
};

/**
 * Text for screen readers. The style is inline so that the components work without a stylesheet. The outer element is
 * positioned: otherwise the text would count towards the height of the page where only a part of the page scrolls.
 */
export function VisuallyHidden({ children }: { children: ReactNode }) {
  return (
    <span style={{ position: "relative" }}>
      <span style={style}>{children}</span>
    </span>
  );
}
