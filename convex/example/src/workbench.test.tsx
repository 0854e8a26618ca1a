import type { LanguagesView } from "@gavel/convex/react";
import { act, cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { ConvexError } from "convex/values";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Question } from "./questionPanel";
import { useDrafts } from "./useDrafts";
import { useLanguageChoice } from "./useLanguageChoice";
import { useSourceLoader } from "./useSourceLoader";
import { Workbench } from "./workbench";

const server = vi.hoisted(() => ({
  submit: vi.fn<(program: object) => Promise<string>>(),
  query: vi.fn<() => Promise<string | null>>(),
  isWebSocketConnected: true,
}));
vi.mock("convex/react", async (original) => ({
  ...(await original<typeof import("convex/react")>()),
  useMutation: () => server.submit,
  useConvex: () => server,
  useConvexConnectionState: () => server,
}));
// The editor measures text, which needs a browser.
vi.mock("./editor", () => ({
  default: ({ text, onChange }: { text: string; onChange: (text: string) => void }) => (
    <textarea aria-label="Your program" value={text} onChange={(event) => onChange(event.target.value)} />
  ),
}));

const QUESTION: Question = {
  questionId: "q1",
  kind: "personalized",
  slug: "double",
  title: "Double",
  statement: "Print the number twice.",
  timeLimitSeconds: 1,
  memoryLimitMb: 64,
};
const language = (id: number, name: string) => ({ id, name, version: "1", engines: ["sandbox"], judges: 1 });
const LANGUAGES: LanguagesView = { languages: [language(71, "Python"), language(50, "C")], judges: 1, fetchedAt: 1 };

const onSubmitted = vi.fn();

type PageProps = { languages: LanguagesView | null | undefined; question?: Question };

function Page({ languages, question = QUESTION }: PageProps) {
  const drafts = useDrafts(question);
  const choice = useLanguageChoice(languages);
  const loader = useSourceLoader(drafts, choice.choose);
  const submission = { submissionId: "s1", languageId: 50 } as Parameters<typeof loader.load>[0];
  return (
    <>
      <Workbench {...{ question, languages, choice, drafts, loader, onSubmitted }} />
      <button onClick={() => void loader.load(submission)}>Load</button>
    </>
  );
}

async function open(props: PageProps = { languages: LANGUAGES }) {
  const page = render(<Page {...props} />);
  await act(() => vi.dynamicImportSettled());
  return page;
}

const editor = () => screen.getByRole<HTMLTextAreaElement>("textbox", { name: "Your program" });
const button = () => screen.getByRole("button", { name: "Submit" });
const reason = () => document.getElementById(button().getAttribute("aria-describedby") ?? "")?.textContent;

beforeEach(() => {
  localStorage.clear();
  vi.clearAllMocks();
  server.isWebSocketConnected = true;
  server.submit.mockResolvedValue("s1");
});
afterEach(cleanup);

test("program_is_submitted_with_its_question_kind_and_language", async () => {
  await open();
  await userEvent.selectOptions(screen.getByRole("combobox", { name: "Language" }), "C");
  await userEvent.type(editor(), "main");
  await userEvent.click(button());
  expect(server.submit).toHaveBeenCalledExactlyOnceWith({
    questionId: "q1",
    kind: "personalized",
    languageId: 50,
    sourceCode: "main",
  });
  expect(onSubmitted).toHaveBeenCalledExactlyOnceWith("s1");
});

test("second_submit_waits_for_the_first", async () => {
  let answer = (_id: string) => {};
  server.submit.mockReturnValue(new Promise((resolve) => (answer = resolve)));
  await open();
  await userEvent.type(editor(), "main");
  await userEvent.dblClick(button());
  await userEvent.keyboard("{Control>}{Enter}{/Control}");
  expect(server.submit).toHaveBeenCalledOnce();
  expect([button().getAttribute("aria-disabled"), reason()]).toEqual(["true", "Sending…"]);
  await act(() => Promise.resolve(answer("s1")));
  expect([button().getAttribute("aria-disabled"), reason()]).toEqual(["false", ""]);
});

test("lost_connection_is_the_reason_while_sending", async () => {
  server.submit.mockReturnValue(new Promise(() => {}));
  server.isWebSocketConnected = false;
  await open();
  await userEvent.type(editor(), "main");
  await userEvent.click(button());
  expect(reason()).toBe("Waiting for the connection to send it…");
});

test.each(["{Control>}{Enter}{/Control}", "{Meta>}{Enter}{/Meta}"])("keys %s submit from the editor", async (keys) => {
  await open();
  await userEvent.type(editor(), "main");
  await userEvent.keyboard(keys);
  expect(server.submit).toHaveBeenCalledOnce();
  expect(editor().value).toBe("main");
});

test("refused_submission_shows_the_message_and_keeps_the_program", async () => {
  server.submit.mockRejectedValue(new ConvexError({ code: "source_too_large", message: "The source is too large." }));
  await open();
  await userEvent.type(editor(), "main");
  await userEvent.click(button());
  expect(screen.getByRole("alert").textContent).toBe("The source is too large.");
  expect([editor().value, button().getAttribute("aria-disabled")]).toEqual(["main", "false"]);
  expect(onSubmitted).not.toHaveBeenCalled();
});

test("answer_that_comes_after_the_page_was_left_is_ignored", async () => {
  let answer = (_id: string) => {};
  server.submit.mockReturnValue(new Promise((resolve) => (answer = resolve)));
  const { unmount } = await open();
  await userEvent.type(editor(), "main");
  await userEvent.click(button());
  unmount();
  await act(() => Promise.resolve(answer("s1")));
  expect(onSubmitted).not.toHaveBeenCalled();
});

test("each_language_has_a_draft_that_survives_a_reload", async () => {
  const { unmount } = await open();
  await userEvent.type(editor(), "python");
  await userEvent.selectOptions(screen.getByRole("combobox"), "C");
  expect(editor().value).toBe("");
  await userEvent.type(editor(), "c");
  unmount();
  await open();
  expect(editor().value).toBe("c");
  await userEvent.selectOptions(screen.getByRole("combobox"), "Python");
  expect(editor().value).toBe("python");
});

test("first_question_starts_with_a_program_that_a_draft_replaces", async () => {
  const question = { ...QUESTION, slug: "sum" };
  const { unmount } = await open({ languages: LANGUAGES, question });
  expect(editor().value).toContain("print(a + b)");
  expect(reason()).toBe("");
  await userEvent.clear(editor());
  expect(editor().value).toBe("");
  await userEvent.type(editor(), "mine");
  unmount();
  await open({ languages: LANGUAGES, question });
  expect(editor().value).toBe("mine");
});

test("loaded_source_replaces_the_draft_until_it_is_undone", async () => {
  server.query.mockResolvedValue("from the submission");
  await open();
  await userEvent.selectOptions(screen.getByRole("combobox"), "C");
  await userEvent.type(editor(), "draft");
  await userEvent.selectOptions(screen.getByRole("combobox"), "Python");
  await userEvent.click(screen.getByText("Load"));
  expect([screen.getByRole<HTMLSelectElement>("combobox").value, editor().value]).toEqual([
    "50",
    "from the submission",
  ]);
  await userEvent.click(screen.getByRole("button", { name: "Undo" }));
  expect(editor().value).toBe("draft");
  expect(screen.queryByRole("button", { name: "Undo" })).toBeNull();
});

test("undo_brings_back_what_was_typed_while_the_source_loaded", async () => {
  let answer = (_text: string) => {};
  server.query.mockReturnValue(new Promise((resolve) => (answer = resolve)));
  await open();
  await userEvent.selectOptions(screen.getByRole("combobox"), "C");
  await userEvent.type(editor(), "draft");
  await userEvent.click(screen.getByText("Load"));
  await userEvent.type(editor(), " and more");
  await act(() => Promise.resolve(answer("from the submission")));
  expect(editor().value).toBe("from the submission");
  await userEvent.click(screen.getByRole("button", { name: "Undo" }));
  expect(editor().value).toBe("draft and more");
});

test("source_that_comes_after_the_page_was_left_replaces_no_draft", async () => {
  let answer = (_text: string) => {};
  server.query.mockReturnValue(new Promise((resolve) => (answer = resolve)));
  localStorage.setItem("gavel.language", "50");
  const { unmount } = await open();
  await userEvent.type(editor(), "draft");
  await userEvent.click(screen.getByText("Load"));
  unmount();
  await act(() => Promise.resolve(answer("from the submission")));
  await open();
  expect(editor().value).toBe("draft");
});

test("of_two_sources_the_one_that_was_asked_for_last_is_loaded", async () => {
  const answers: ((text: string) => void)[] = [];
  server.query.mockImplementation(() => new Promise((resolve) => answers.push(resolve)));
  await open();
  await userEvent.click(screen.getByText("Load"));
  await userEvent.click(screen.getByText("Load"));
  await act(() => Promise.resolve(answers[1]!("second")));
  await act(() => Promise.resolve(answers[0]!("first")));
  expect(editor().value).toBe("second");
});

test.each([
  ["an empty program", LANGUAGES, "Write a program first."],
  ["languages that load", undefined, "Loading the languages…"],
  ["no judge", { ...LANGUAGES, languages: [], judges: 0 }, "No judge is available at the moment."],
  ["a language that is no longer served", { ...LANGUAGES, languages: [language(50, "C")] }, /No judge offers Python 3/],
])("%s is the reason that the button is disabled", async (_case, languages, text) => {
  localStorage.setItem("gavel.language", "71");
  await open({ languages });
  expect(button().getAttribute("aria-disabled")).toBe("true");
  expect(reason()).toMatch(text);
  await userEvent.click(button());
  expect(server.submit).not.toHaveBeenCalled();
});

test("no_language_at_all_is_said_in_place_of_the_editor", async () => {
  const problem = "The list of languages could not be loaded.";
  await open({ languages: { languages: [], judges: 0, fetchedAt: 0, problem } });
  expect(screen.getByRole("status").textContent).toContain("No judge is available at the moment.");
  expect(screen.getByRole("status").textContent).toContain(problem);
});
