import { createInterface } from "readline";

const lines: string[] = [];
for await (const line of createInterface({ input: process.stdin })) lines.push(line);
console.log(await Promise.resolve(lines.length));
