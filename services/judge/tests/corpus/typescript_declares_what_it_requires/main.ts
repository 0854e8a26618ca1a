declare var require: any;
declare const process: any;

const fs = require("fs");
const sum: number = fs.readFileSync(0, "utf8").split(" ").map(Number).reduce((a: number, b: number) => a + b);
process.stdout.write(`${sum}\n`);
