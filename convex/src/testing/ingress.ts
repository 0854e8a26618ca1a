import { vi } from "vitest";
import type { App } from "./app.js";

/** A request that the mock ingress got. */
export type Received = { url: string; method: string; headers: Headers; body: string };

type Answer = () => Response | Promise<Response>;

export const accepted = () => Response.json({ status: "accepted" }, { status: 202 });
export const status =
  (code: number, body = "", headers: Record<string, string> = {}) =>
  () =>
    new Response(body, { status: code, headers });
/** No answer at all. As in older Convex backends, `fetch` ignores the signal that it was given. */
export const silence = () => new Promise<never>(() => {});

/** Replaces `fetch` by a mock ingress, which gives the answers in their order, then the last one for ever. */
export function mockIngress(...answers: Answer[]): Received[] {
  const received: Received[] = [];
  vi.stubGlobal("fetch", async (input: URL | string, init: RequestInit = {}) => {
    const answer = answers[Math.min(received.length, answers.length - 1)]!;
    const { method = "GET", body = "" } = init;
    received.push({ url: String(input), method, headers: new Headers(init.headers), body: body as string });
    return await answer();
  });
  vi.stubEnv("GAVEL_URL", "https://judge.example.com");
  vi.stubEnv("GAVEL_KEY", "key-1");
  return received;
}

const realSetTimeout = globalThis.setTimeout;

/** Lets time pass, and runs what the scheduler starts in it. Needs fake timers. */
export async function pass(t: App, ms: number, step = Math.max(250, ms / 500)): Promise<void> {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    await vi.advanceTimersByTimeAsync(Math.min(step, end - Date.now()));
    // A function that waits for a timer does not finish before the next step.
    const pause = new Promise((resolve) => realSetTimeout(resolve, 1000));
    await Promise.race([t.finishInProgressScheduledFunctions(), pause]);
  }
}
