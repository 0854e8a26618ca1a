import { mkdtemp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sharedFixture, startFixture } from "./testing";

let directory: string;
let pageDir: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "page-"));
  pageDir = path.join(directory, "dist");
  await mkdir(path.join(pageDir, "assets"), { recursive: true });
  await writeFile(path.join(pageDir, "index.html"), "<!doctype html><title>Page</title>");
  await writeFile(path.join(pageDir, "assets/main-1a2b.js"), "export {};");
  await writeFile(path.join(pageDir, "icon.svg"), "<svg/>");
  await writeFile(path.join(directory, "secret.txt"), "secret");
  await mkdir(path.join(directory, "dist-other"));
  await writeFile(path.join(directory, "dist-other/secret.txt"), "secret");
  await symlink(path.join(directory, "secret.txt"), path.join(pageDir, "link.txt"));
});

afterAll(() => rm(directory, { recursive: true }));

/** Sends a request line as it is: fetch would normalize the path. */
async function raw(url: string, target: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

describe("the page", () => {
  const server = sharedFixture(() => ({ pageDir }));

  test.each([
    ["/", "text/html; charset=utf-8", "no-cache"],
    ["/solve/two-sum?x=1", "text/html; charset=utf-8", "no-cache"],
    ["/index.html", "text/html; charset=utf-8", "no-cache"],
    ["/assets/main-1a2b.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"],
    ["/icon.svg", "image/svg+xml", "no-cache"],
  ])("serves %s", async (target, type, cacheControl) => {
    const { url } = server();
    const response = await fetch(url + target);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe(type);
    expect(response.headers.get("cache-control")).toBe(cacheControl);
  });

  test("has strict headers, also on errors", async () => {
    const { url } = server();
    for (const target of ["/", "/nothing.js"]) {
      const { headers } = await fetch(url + target);
      expect(headers.get("content-security-policy")).toMatch(/default-src 'none'; script-src 'self';/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("x-frame-options")).toBe("DENY");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
    }
  });

  test("answers HEAD without a body and other methods with 405", async () => {
    const { url } = server();
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "34", ""]);
    expect((await fetch(url, { method: "POST" })).status).toBe(405);
  });

  test.each([
    "/../secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e/secret.txt",
    "/assets/../../secret.txt",
    "/../dist-other/secret.txt",
    "/..\\secret.txt",
    "//etc/passwd.txt",
    "/link.txt",
    "/%00.txt",
    "/%zz.txt",
    "/missing.js",
    "/api/query",
  ])("does not serve %s", async (target) => {
    const { url } = server();
    const answer = await raw(url, target);
    expect(answer).toMatch(/^HTTP\/1.1 404 /);
    expect(answer).not.toContain("secret");
  });
});

test("a server without a page answers 404", async () => {
  const { url } = await startFixture();
  expect((await fetch(url)).status).toBe(404);
});
