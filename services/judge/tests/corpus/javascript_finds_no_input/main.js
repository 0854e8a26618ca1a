const fs = require("fs");
console.log(fs.readFileSync(0).length, fs.readFileSync("/dev/stdin").length);
process.stdin.on("data", () => console.log("data")).on("end", () => console.log("end"));
