import * as fs from "fs";

const numbers: number[] = fs.readFileSync(0, "utf8").trim().split("\n").map(Number);
console.log(numbers.reduce((a: number, b: number) => a + b));
