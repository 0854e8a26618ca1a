import { spawn } from "node:child_process";
import { createServer, type AddressInfo } from "node:net";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parseOptions } from "./cli";

/** Runs the command. `stopAt`: a text of its output at which it gets a signal. */
async function run(args: string[], stopAt?: [string, NodeJS.Signals]) {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "main.js"), ...args]);
  onTestFinished(() => void child.kill("SIGKILL"));
  let stdout = "";
  let stderr = "";
  child.stderr.on("data", (data) => (stderr += String(data)));
  child.stdout.on("data", (data) => {
    stdout += String(data);
    if (stopAt !== undefined && stdout.includes(stopAt[0])) child.kill(stopAt[1]);
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, stdout, stderr };
}

describe("the command", { timeout: 30_000 }, () => {
  test.each(["SIGINT", "SIGTERM"] as const)("runs the example, and stops at %s with 0", async (signal) => {
    const result = await run(["--port", "0", "--site-port", "0"], ["Press Ctrl+C", signal]);
    expect(result).toEqual({ code: 0, stdout: expect.stringMatching(ADDRESSES) as string, stderr: "" });
  });

  test("prints its help", async () => {
    const { code, stdout } = await run(["--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/mock of Convex[^]*--port[^]*--site-port[^]*--page/);
  });

  test("exits with 64 on a wrong argument, and says what is wrong", async () => {
    const { code, stderr } = await run(["--port", "80000"]);
    expect(code).toBe(64);
    expect(stderr).toMatch(/--port: "80000" is not a port .*\n.*--help/);
  });

  test("says which port is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await run(["--port", String(port)]);
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot listen on port ${port}: it is in use.`);
  });
});

const ADDRESSES =
  /^Mock of Convex for development: http:\/\/127\.0\.0\.1:\d+ \(HTTP actions: http:\/\/127\.0\.0\.1:\d+\)\. Press Ctrl\+C to stop\.\n$/;

test("options have defaults", () => {
  expect(parseOptions([])).toEqual({ port: 3210, sitePort: 3211, pageDir: null });
  expect(parseOptions(["--page", "dist", "--port=1"])).toEqual({ port: 1, sitePort: 3211, pageDir: "dist" });
});

test.each([[["--port", "1.5"]], [["--port", "-1"]], [["--site-port", ""]], [["--unknown"]], [["extra"]]])(
  "%j is refused",
  (args) => {
    expect(() => parseOptions(args)).toThrow();
  },
);
