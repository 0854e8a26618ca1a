import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ConvexClient } from "convex/browser";
import { expect, onTestFinished, test, vi } from "vitest";
import { api } from "../example/convex/_generated/api";
import { startDevServer } from "./index";
import { connect } from "./testing";

/** A judge that accepts everything. Returns its address and the bodies that it got. */
async function startJudge(): Promise<{ url: string; bodies: Record<string, unknown>[] }> {
  const bodies: Record<string, unknown>[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => (text += String(chunk)));
    request.on("end", () => {
      if (request.url === "/v1/judge-question") bodies.push(JSON.parse(text) as Record<string, unknown>);
      response.writeHead(202).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies };
}

async function signIn(client: ConvexClient): Promise<void> {
  const { token } = await client.action(api.visitors.signIn, {});
  await new Promise<void>((resolve) =>
    client.setAuth(
      () => Promise.resolve(token),
      () => resolve(),
    ),
  );
}

test(
  "the example sends a submission, shows it to its author only, and receives its result",
  { timeout: 30_000 },
  async () => {
    const judge = await startJudge();
    const env = { GAVEL_URL: judge.url, GAVEL_KEY: "key", GAVEL_TOKENS: "token-of-the-judge" };
    const server = await startDevServer({ env });
    onTestFinished(() => server.close());
    const [ada, bob] = [connect(server), connect(server)];
    await Promise.all([signIn(ada), signIn(bob)]);

    const [question] = await ada.query(api.questions.list, {});
    const questionId = question?.questionId ?? "";
    const submissionId = await ada.mutation(api.judge.submit, { questionId, languageId: 71, sourceCode: "print(1)" });
    await vi.waitFor(() => expect(judge.bodies).toMatchObject([{ submissionId, questionId }]), { timeout: 10_000 });
    expect(await ada.query(api.judge.submission, { submissionId })).toMatchObject({ status: "queued" });
    expect(await bob.query(api.judge.submission, { submissionId })).toBeNull();

    const statuses: string[] = [];
    ada.onUpdate(api.judge.submission, { submissionId }, (submission) => statuses.push(submission?.status ?? "none"));
    const call = async (token: string, path: string, body: object) => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const init = { method: "POST", headers, body: JSON.stringify(body) };
      return (await fetch(`${server.siteUrl}/coding/${path}`, init)).status;
    };
    const seen = async (expected: string[]) =>
      vi.waitFor(() => expect(statuses).toEqual(expected), { timeout: 10_000 });
    await seen(["queued"]);
    expect(await call("wrong", "submission-running", { submissionId })).toBe(401);
    expect(await call("token-of-the-judge", "submission-running", { submissionId })).toBe(200);
    await seen(["queued", "running"]);
    expect(await call("token-of-the-judge", "submission-result", { submissionId, status: "passed" })).toBe(200);
    await seen(["queued", "running", "passed"]);
  },
);
