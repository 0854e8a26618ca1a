import type { components } from "../wire/openapi.js";

/** The types of the wire, generated from `docs/openapi.yaml`. */
export type Wire = components["schemas"];

/** The list of questions that a submission belongs to. Gavel asks for test cases and reports results separately for each. */
export type SubmissionKind = Wire["SubmissionKind"];

/**
 * Where a submission is.
 *
 * - `queued`: stored, and on its way to a judge.
 * - `running`: a judge runs it.
 * - `passed`, `failed`: the verdict.
 * - `error`: it could not be judged, which is never the learner's fault. `firstFailure.errorMessage` says why.
 */
export type SubmissionStatus = "queued" | "running" | Verdict;

/** A final status. */
export type Verdict = Wire["ResultStatus"];

/** The first test case that failed. Of a hidden test case, input and expected output are never stored. */
export type FirstFailure = Wire["FirstFailure"];

/** What a result says besides its status. */
export type ResultDetails = Omit<Wire["ResultRequest"], "submissionId" | "status">;

/** A submission as its author may see it: without the source. */
export type SubmissionView = ResultDetails & {
  submissionId: string;
  questionId: string;
  kind: SubmissionKind;
  /** A Judge0 language id, for example 71 for Python 3. */
  languageId: number;
  status: SubmissionStatus;
  /** Milliseconds since 1970. */
  submittedAt: number;
  /** Milliseconds since 1970. Missing if no judge has reported that it runs the submission. */
  runningAt?: number;
  /** Milliseconds since 1970. Missing unless the status is final. */
  finishedAt?: number;
  /** 1 for the first judging, one more for each rejudge, 0 until Gavel has reported anything. */
  generation: number;
};

/** A test case that learners may see. */
export type PublicTestCase = {
  name?: string;
  order: number;
  stdin: string;
  expectedStdout: string;
};

/** The test cases of a question as learners may see them. */
export type TestCasesView = {
  /** Sorted by `order`. */
  public: PublicTestCase[];
  /** The number of hidden test cases. Nothing else about them leaves the backend. */
  hiddenCount: number;
};

/** A language that at least one running judge offers. */
export type LanguageView = Omit<Wire["Language"], "engines"> & {
  /** A later Gavel may have others than the description names. */
  engines: string[];
};

/** The languages of the running judges, from the last answer of Gavel. */
export type LanguagesView = {
  languages: LanguageView[];
  /** The number of running judges. */
  judges: number;
  /** When Gavel last answered, in milliseconds since 1970; 0 if it never has. */
  fetchedAt: number;
  /** One sentence for learners if the last request failed. */
  problem?: string;
};

/** How outputs are compared. */
export type OutputComparison = Wire["OutputComparison"];

/** A question with its test cases as the judge needs them. Never send this to a browser. */
export type JudgeData = Wire["TestCasesResponse"];

/** A question of the package's own tables. */
export type Question = Omit<JudgeData["question"], "_id"> & { kind: SubmissionKind };

/** A test case of the package's own tables. Of a hidden one, learners see neither input nor expected output. */
export type TestCase = Omit<Wire["TestCase"], "_id" | "order">;

/** The arguments of the app's `onResult` mutation. Their validator is `vResultEvent`. */
export type ResultEvent = {
  submissionId: string;
  userId: string;
  questionId: string;
  status: Verdict;
  generation: number;
};
