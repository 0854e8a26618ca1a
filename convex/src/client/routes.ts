import {
  createFunctionHandle,
  httpActionGeneric,
  type FunctionReference,
  type GenericActionCtx,
  type GenericDataModel,
  type HttpRouter,
} from "convex/server";
import type { ComponentApi } from "../component/_generated/component.js";
import type { JudgeData, ResultEvent, SubmissionKind } from "./types.js";
import { verifyCallback, type Verified, type VerifyOptions } from "./verify.js";
import { InvalidBody, parseId, parseResult } from "./wire.js";

type ActionCtx<DataModel extends GenericDataModel> = GenericActionCtx<DataModel>;

/** Options of {@link registerRoutes}. */
export type RouteOptions<DataModel extends GenericDataModel> = VerifyOptions & {
  /**
   * Loads a question and all its test cases, the hidden ones too, for the judge. Null if there is no such question. By
   * default from the package's own tables.
   */
  loadQuestion?: (
    ctx: ActionCtx<DataModel>,
    args: { questionId: string; kind: SubmissionKind },
  ) => Promise<JudgeData | null>;
  /**
   * A mutation with the arguments `vResultEvent.fields`. It runs once for each result, in the transaction that stores
   * it. If it throws, nothing is stored, and Gavel sends the result again.
   */
  onResult?: FunctionReference<"mutation", "public" | "internal", ResultEvent, unknown>;
};

type Call = Extract<Verified, { ok: true }>;
type Handler<DataModel extends GenericDataModel> = (ctx: ActionCtx<DataModel>, call: Call) => Promise<Response>;

/**
 * Adds the six routes that Gavel calls: test cases, *running* and results, of standard and of personalized questions.
 *
 * By default, the signing secrets and tokens come from the variables `GAVEL_SIGNING_SECRETS` and `GAVEL_TOKENS`, each a
 * comma-separated list.
 */
export function registerRoutes<DataModel extends GenericDataModel>(
  http: HttpRouter,
  component: ComponentApi,
  options: RouteOptions<DataModel> = {},
): void {
  for (const kind of ["standard", "personalized"] as const) {
    const prefix = kind === "standard" ? "/coding/" : "/coding/personalized-";
    const route = (name: string, handler: Handler<DataModel>) =>
      http.route({ path: prefix + name, method: "POST", handler: verified(options, handler) });
    route("testcases", (ctx, call) => testCases(ctx, component, options, kind, call));
    route("submission-running", (ctx, call) => running(ctx, component, kind, call));
    route("submission-result", (ctx, call) => result(ctx, component, options, kind, call));
  }
}

/** Runs the handler for verified calls only. Gavel tries again after 503, the answer to every unexpected error. */
function verified<DataModel extends GenericDataModel>(options: VerifyOptions, handler: Handler<DataModel>) {
  return httpActionGeneric(async (ctx, request) => {
    try {
      const call = await verifyCallback(request, {
        secrets: options.secrets ?? process.env.GAVEL_SIGNING_SECRETS,
        tokens: options.tokens ?? process.env.GAVEL_TOKENS,
        toleranceSeconds: options.toleranceSeconds,
      });
      return call.ok ? await handler(ctx as unknown as ActionCtx<DataModel>, call) : refuse(call.status, call.message);
    } catch (error) {
      if (error instanceof InvalidBody) {
        return refuse(400, error.message);
      }
      console.error(`A call of Gavel to ${new URL(request.url).pathname} failed, and will be repeated.`, error);
      return refuse(503, "Try again.");
    }
  });
}

async function testCases<DataModel extends GenericDataModel>(
  ctx: ActionCtx<DataModel>,
  component: ComponentApi,
  options: RouteOptions<DataModel>,
  kind: SubmissionKind,
  { body, webhookId }: Call,
): Promise<Response> {
  const questionId = parseId(body, "questionId");
  if (webhookId !== undefined && !(await ctx.runMutation(component.replays.remember, { webhookId }))) {
    return refuse(401, "This call was answered before.");
  }
  const data = await (options.loadQuestion
    ? options.loadQuestion(ctx, { questionId, kind })
    : ctx.runQuery(component.questions.judgeData, { questionId, kind }));
  return data ? Response.json(data) : refuse(404, "There is no such question.");
}

async function running<DataModel extends GenericDataModel>(
  ctx: ActionCtx<DataModel>,
  component: ComponentApi,
  kind: SubmissionKind,
  { body, generation }: Call,
): Promise<Response> {
  const submissionId = parseId(body, "submissionId");
  return answer(await ctx.runMutation(component.callbacks.running, { submissionId, kind, generation }));
}

async function result<DataModel extends GenericDataModel>(
  ctx: ActionCtx<DataModel>,
  component: ComponentApi,
  options: RouteOptions<DataModel>,
  kind: SubmissionKind,
  { body, generation }: Call,
): Promise<Response> {
  const onResult = options.onResult && (await createFunctionHandle(options.onResult));
  return answer(
    await ctx.runMutation(component.callbacks.result, { ...parseResult(body), kind, generation, onResult }),
  );
}

/** Gavel makes 409 and 422 dead letters, which only an operator can resolve. */
function answer(outcome: "applied" | "unchanged" | "conflict" | "unknown"): Response {
  switch (outcome) {
    case "applied":
    case "unchanged":
      return Response.json({ ok: true });
    case "conflict":
      return refuse(409, "A different result of this generation is stored.");
    case "unknown":
      return refuse(422, "There is no such submission of this kind.");
  }
}

function refuse(status: number, message: string): Response {
  const headers = status === 503 ? { "retry-after": "1" } : undefined;
  return Response.json({ ok: false, message }, { status, headers });
}
