import { cleanup, render, renderHook, screen, waitFor } from "@testing-library/react";
import { ConvexProvider, ConvexReactClient } from "convex/react";
import { anyApi, getFunctionName } from "convex/server";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SubmissionView } from "../client/types.js";
import { useLanguages, useSubmission, useSubmissions } from "./hooks.js";
import { GavelProvider, type GavelFunctions } from "./provider.js";
import { submission, unfinished } from "./submission.test.fixture.js";

const api = anyApi.judge as unknown as GavelFunctions;

/** A client without a server: queries have the values that the test sets, and mutations are recorded. */
class LocalClient extends ConvexReactClient {
  readonly values = new Map<string, unknown>();
  readonly calls: string[] = [];
  readonly #listeners = new Set<() => void>();
  isConnected = true;

  constructor() {
    super("https://judge.convex.cloud");
  }

  set(name: string, value: unknown) {
    this.values.set(name, value);
    for (const listener of this.#listeners) listener();
  }

  override watchQuery = ((query: Parameters<typeof getFunctionName>[0], args: object) => ({
    localQueryResult: () => this.values.get(`${getFunctionName(query)} ${JSON.stringify(args)}`),
    onUpdate: (listener: () => void) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
    journal: () => undefined,
  })) as unknown as ConvexReactClient["watchQuery"];

  override mutation = ((mutation: Parameters<typeof getFunctionName>[0]) => {
    this.calls.push(getFunctionName(mutation));
    return Promise.reject(new Error("not reachable"));
  }) as ConvexReactClient["mutation"];

  override connectionState = () =>
    ({ isWebSocketConnected: this.isConnected }) as ReturnType<ConvexReactClient["connectionState"]>;

  override subscribeToConnectionState = () => () => {};
}

let client: LocalClient;
beforeEach(() => void (client = new LocalClient()));
afterEach(async () => {
  cleanup();
  await client.close();
});

function wrapper({ children }: { children: ReactNode }) {
  return (
    <ConvexProvider client={client}>
      <GavelProvider api={api}>{children}</GavelProvider>
    </ConvexProvider>
  );
}

describe("useSubmission", () => {
  const set = (view: SubmissionView | null) => client.set('judge:submission {"submissionId":"s1"}', view);

  test("submission_is_followed_to_its_verdict", async () => {
    const { result } = renderHook(() => useSubmission("s1"), { wrapper });
    expect(result.current).toEqual({ submission: undefined, isFinal: false, isConnected: true });
    set(unfinished("running"));
    await waitFor(() => expect(result.current.submission?.status).toBe("running"));
    expect(result.current.isFinal).toBe(false);
    set(submission());
    await waitFor(() => expect(result.current.isFinal).toBe(true));
  });

  test("unknown_submission_is_null", async () => {
    set(null);
    const { result } = renderHook(() => useSubmission("s1"), { wrapper });
    await waitFor(() => expect(result.current).toMatchObject({ submission: null, isFinal: false }));
  });

  test("no_id_makes_no_query", () => {
    const watch = vi.spyOn(client, "watchQuery");
    const { result } = renderHook(() => useSubmission(undefined), { wrapper });
    expect(result.current.submission).toBeUndefined();
    expect(watch).not.toHaveBeenCalled();
  });

  test("lost_connection_is_reported", () => {
    client.isConnected = false;
    const { result } = renderHook(() => useSubmission("s1"), { wrapper });
    expect(result.current.isConnected).toBe(false);
  });
});

test("submissions_are_asked_for_by_question_and_page", async () => {
  const watch = vi.spyOn(client, "watchQuery");
  const { result } = renderHook(() => useSubmissions("q1"), { wrapper });
  await waitFor(() => expect(watch).toHaveBeenCalled());
  expect(result.current.status).toBe("LoadingFirstPage");
  expect(watch.mock.calls[0]?.[1]).toMatchObject({ questionId: "q1", paginationOpts: { numItems: 10, cursor: null } });
});

describe("useLanguages", () => {
  const python = { id: 71, name: "Python", version: "3.11.2", engines: ["sandbox"], judges: 1 };
  const known = { languages: [python], judges: 1, fetchedAt: 1 };

  test("languages_are_refreshed_once_and_a_failure_keeps_the_known_ones", async () => {
    client.set("judge:languages {}", known);
    const { result, rerender } = renderHook(() => useLanguages(), { wrapper });
    rerender();
    await waitFor(() => expect(result.current).toEqual(known));
    expect(client.calls).toEqual(["judge:refreshLanguages"]);
  });

  test.each([
    ["some languages are known", known, 1],
    ["no judge runs", { languages: [], judges: 0, fetchedAt: 1 }, 10],
    ["the last request failed", { ...known, problem: "The list of languages could not be loaded." }, 10],
    ["they were never fetched", null, 10],
  ])("languages are refreshed in time if %s", async (_case, languages, refreshesInAMinute) => {
    vi.useFakeTimers();
    client.set("judge:languages {}", languages);
    const { unmount } = renderHook(() => useLanguages(), { wrapper });
    await vi.advanceTimersByTimeAsync(60_000);
    unmount();
    await vi.advanceTimersByTimeAsync(60_000);
    vi.useRealTimers();
    expect(client.calls).toHaveLength(refreshesInAMinute + (languages === known ? 0 : 1));
  });
});

test("missing_provider_is_an_error_that_names_it", () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  function Page() {
    useSubmission("s1");
    return null;
  }
  expect(() => render(<Page />)).toThrow("Wrap the app in <GavelProvider api={api.judge}>");
  expect(screen.queryByRole("status")).toBeNull();
});
