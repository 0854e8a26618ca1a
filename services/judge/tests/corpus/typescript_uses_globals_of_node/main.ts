import * as fs from "fs";
import * as readline from "readline";
import { performance as timer } from "node:perf_hooks";

const text: string = new TextDecoder().decode(new TextEncoder().encode("text"));
const url = new URL("http://host/path?key=value");
const copy: { a: number[] } = structuredClone({ a: [1, 2, 3] });
const bytes: Uint8Array = Buffer.from("abc");
const controller = new AbortController();
const started: number = performance.now();
const lines: string[] = [];

async function main(): Promise<void> {
    for await (const line of readline.createInterface({ input: process.stdin })) lines.push(line);
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
    queueMicrotask(() => console.log("microtask"));
    await Promise.resolve();
    console.log(text, url.searchParams.get("key"), copy.a.findLast((x) => x < 3), bytes.length);
    console.log(lines.join("+"), controller.signal.aborted, timer.now() >= started, typeof fetch, typeof fs.readFileSync);
    console.log(2n ** 64n, "a-b".replaceAll("-", "+"), [3, 1, 2].at(-1));
}

main();
