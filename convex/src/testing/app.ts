import { convexTest, type TestConvex } from "convex-test";
import {
  anyApi,
  componentsGeneric,
  defineSchema,
  httpRouter,
  type ApiFromModules,
  type GenericDataModel,
  type GenericSchema,
  type SchemaDefinition,
} from "convex/server";
import { Gavel, registerRoutes, type RouteOptions, type TestCase } from "../client/index.js";
import type { ComponentApi } from "../component/_generated/component.js";
import { register } from "../test.js";
import { SECRET } from "./calls.js";

export const component = (componentsGeneric() as unknown as { gavel: ComponentApi }).gavel;
export const gavel = new Gavel(component);

/** The functions of `judge.ts` in the app of the tests. Its users are the subjects of their identities. */
const judge = gavel.api({ userId: async (ctx) => (await ctx.auth.getUserIdentity())?.subject ?? null });
export const { judge: judgeApi } = anyApi as unknown as ApiFromModules<{ judge: typeof judge }>;

export type App = TestConvex<SchemaDefinition<GenericSchema, boolean>>;

/** Starts an app with the component. `functions` are those in its file `app.ts`. */
export function startApp(options: RouteOptions<GenericDataModel> = { secrets: [SECRET] }, functions: object = {}): App {
  const http = httpRouter();
  registerRoutes(http, component, options);
  const files = { "_generated/api": {}, http: { default: http }, judge, app: functions };
  const modules = Object.fromEntries(
    Object.entries(files).map(([name, module]) => [`./${name}.ts`, (): Promise<unknown> => Promise.resolve(module)]),
  );
  const t: App = convexTest({ schema: defineSchema({}), modules });
  register(t);
  return t;
}

export const submission = { questionId: "k57", languageId: 71, sourceCode: "print(1)" };

/** Submits as a user without sending anything. Returns the submission id. */
export async function submit(t: App, userId = "ada", args: Partial<Parameters<Gavel["submit"]>[1]> = {}) {
  return await t.run((ctx) => gavel.submit(ctx, { ...submission, userId, ...args }));
}

/** Returns a submission as its user sees it. */
export async function view(t: App, submissionId: string, userId = "ada") {
  const found = await t.run((ctx) => gavel.submission(ctx, { submissionId, userId }));
  if (!found) {
    throw new Error(`${submissionId} is not a submission of ${userId}`);
  }
  return found;
}

export const limits = {
  timeLimitSeconds: 2,
  memoryLimitMb: 256,
  outputComparison: { trimOutputs: true, normalizeWhitespace: false, caseSensitive: true },
};

export const testCases: TestCase[] = [
  { visibility: "public", stdin: "1 2\n", expectedStdout: "3\n", name: "sample" },
  { visibility: "hidden", stdin: "secret input", expectedStdout: "secret output" },
  { visibility: "public", stdin: "5 5\n", expectedStdout: "10\n" },
];
