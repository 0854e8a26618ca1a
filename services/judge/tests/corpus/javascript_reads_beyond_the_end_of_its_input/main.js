const fs = require("fs");
const lengths = [8, 8, 8].map((size) => fs.readSync(0, Buffer.alloc(size)));
console.log(...lengths, fs.readFileSync("/dev/stdin").length, fs.readFileSync("/proc/self/fd/0").length);
