import { useEffect, useState } from "react";

/** Whether a condition has been true for a number of milliseconds. */
export function useDelayed(condition: boolean, delay: number): boolean {
  const [isOver, setIsOver] = useState(false);
  useEffect(() => {
    if (!condition) return;
    const timer = setTimeout(() => setIsOver(true), delay);
    return () => {
      clearTimeout(timer);
      setIsOver(false);
    };
  }, [condition, delay]);
  return condition && isOver;
}
