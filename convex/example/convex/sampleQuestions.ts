import type { OutputComparison, SubmissionKind, TestCase } from "@gavel/convex";

export type SampleQuestion = {
  slug: string;
  kind: SubmissionKind;
  title: string;
  statement: string;
  timeLimitSeconds: number;
  memoryLimitMb: number;
  outputComparison: OutputComparison;
  testCases: TestCase[];
};

export const sampleQuestions: SampleQuestion[] = [
  {
    slug: "sum",
    kind: "standard",
    title: "Sum",
    statement: "The input is two integers on one line. Print their sum, which fits into a signed 64-bit integer.",
    timeLimitSeconds: 2,
    memoryLimitMb: 256,
    outputComparison: { trimOutputs: true, normalizeWhitespace: false, caseSensitive: true },
    testCases: [
      { visibility: "public", stdin: "1 2\n", expectedStdout: "3\n", name: "sample" },
      { visibility: "public", stdin: "-5 5\n", expectedStdout: "0\n" },
      {
        visibility: "hidden",
        stdin: "2000000000 2000000000\n",
        expectedStdout: "4000000000\n",
        name: "beyond 32 bits",
      },
      {
        visibility: "hidden",
        stdin: "9007199254740992 1\n",
        expectedStdout: "9007199254740993\n",
        name: "beyond 53 bits",
      },
      { visibility: "hidden", stdin: "-7 -8\n", expectedStdout: "-15\n" },
    ],
  },
  {
    slug: "maximum",
    kind: "standard",
    title: "Maximum",
    statement: "The first line contains n (1 to 1000), the second line n integers. Print the largest.",
    timeLimitSeconds: 2,
    memoryLimitMb: 256,
    outputComparison: { trimOutputs: true, normalizeWhitespace: false, caseSensitive: true },
    testCases: [
      { visibility: "public", stdin: "3\n4 9 2\n", expectedStdout: "9\n", name: "sample" },
      { visibility: "public", stdin: "1\n7\n", expectedStdout: "7\n" },
      { visibility: "hidden", stdin: "4\n-3 -1 -9 -2\n", expectedStdout: "-1\n", name: "all below zero" },
    ],
  },
  {
    slug: "words",
    kind: "standard",
    title: "Words",
    statement:
      "Print the words of the input in order on one line, separated by a space. Case and the number of spaces are ignored.",
    timeLimitSeconds: 2,
    memoryLimitMb: 256,
    outputComparison: { trimOutputs: true, normalizeWhitespace: true, caseSensitive: false },
    testCases: [
      {
        visibility: "public",
        stdin: "the quick  brown fox\n",
        expectedStdout: "The quick brown fox\n",
        name: "sample",
      },
      { visibility: "public", stdin: "one\ntwo\nthree\n", expectedStdout: "one two three\n" },
      {
        visibility: "hidden",
        stdin: "Grüne  ÄPFEL aus Köln\n",
        expectedStdout: "grüne äpfel aus köln\n",
        name: "beyond ASCII",
      },
    ],
  },
  {
    slug: "reverse",
    kind: "standard",
    title: "Reverse",
    statement: "Print the characters (Unicode code points) of the line in reverse order.",
    timeLimitSeconds: 1.5,
    memoryLimitMb: 256,
    outputComparison: { trimOutputs: true, normalizeWhitespace: false, caseSensitive: true },
    testCases: [
      { visibility: "public", stdin: "hello\n", expectedStdout: "olleh\n", name: "sample" },
      { visibility: "public", stdin: "naïve café\n", expectedStdout: "éfac evïan\n" },
      {
        visibility: "hidden",
        stdin: "日本語 🙂 ok\n",
        expectedStdout: "ko 🙂 語本日\n",
        name: "beyond the basic plane",
      },
    ],
  },
  {
    slug: "primes",
    kind: "standard",
    title: "Primes",
    statement: "Print the number of primes below n (n is at most 1,000,000).",
    timeLimitSeconds: 0.5,
    memoryLimitMb: 128.5,
    outputComparison: { trimOutputs: true, normalizeWhitespace: false, caseSensitive: true },
    testCases: [
      { visibility: "public", stdin: "10\n", expectedStdout: "4\n", name: "sample" },
      { visibility: "public", stdin: "1000\n", expectedStdout: "168\n" },
      { visibility: "hidden", stdin: "2\n", expectedStdout: "0\n" },
      { visibility: "hidden", stdin: "1000000\n", expectedStdout: "78498\n", name: "large" },
    ],
  },
  {
    slug: "greet",
    kind: "personalized",
    title: "A greeting for you",
    statement: 'The input is a name on one line. Print "Hello, NAME!".',
    timeLimitSeconds: 1,
    memoryLimitMb: 128,
    outputComparison: { trimOutputs: true, normalizeWhitespace: false, caseSensitive: true },
    testCases: [
      { visibility: "public", stdin: "Ada\n", expectedStdout: "Hello, Ada!\n", name: "sample" },
      { visibility: "hidden", stdin: "Grace Hopper\n", expectedStdout: "Hello, Grace Hopper!\n" },
    ],
  },
];
