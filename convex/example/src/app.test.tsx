import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { App } from "./app";

const server = vi.hoisted(() => ({ question: undefined as object | null | undefined }));
vi.mock("convex/react", async (original) => ({
  ...(await original<typeof import("convex/react")>()),
  useQuery: () => server.question,
  useConvex: () => server,
  useConvexAuth: () => ({ isLoading: false, isAuthenticated: true }),
  useConvexConnectionState: () => ({ isWebSocketConnected: true, hasEverConnected: true }),
}));
vi.mock("@gavel/convex/react", () => ({ useLanguages: () => null }));
vi.mock("./questionsPage", () => ({ QuestionsPage: () => <main tabIndex={-1}>All questions</main> }));
vi.mock("./questionPanel", () => ({ QuestionPanel: () => <h1>Sum</h1> }));
vi.mock("./workbench", () => ({ Workbench: () => null }));
vi.mock("./history", () => ({ History: () => null }));

beforeEach(() => {
  window.matchMedia = () =>
    ({ addEventListener: () => {}, removeEventListener: () => {} }) as unknown as MediaQueryList;
  window.location.hash = "#/";
  server.question = undefined;
});
afterEach(cleanup);

const app = () => <App signIn={{ error: undefined, retry: () => {} }} />;

test.each([
  ["that is found", { questionId: "q1", slug: "sum", title: "Sum" }, "Sum"],
  ["that does not exist", null, "Not found"],
])("a_question_%s_keeps_the_focus_when_it_has_loaded", async (_case, question, title) => {
  const page = render(app());
  await act(() => {
    window.location.hash = "#/questions/sum";
    window.dispatchEvent(new Event("hashchange"));
    return Promise.resolve();
  });
  expect(document.activeElement?.textContent).toBe("Loading the question…");
  server.question = question;
  page.rerender(app());
  const heading = screen.getByRole("heading", { name: title });
  expect(document.activeElement).toBe(heading.closest("main"));
  expect(document.querySelectorAll("main")).toHaveLength(1);
});
