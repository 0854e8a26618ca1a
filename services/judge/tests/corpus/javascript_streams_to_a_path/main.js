const text = "0123456789abcde\n".repeat(524288);
const fs = require("fs");
const half = text.length / 2;
console.log(text.slice(0, half - 1));
fs.createWriteStream("/dev/stdout").end(text.slice(half), () => process.exit(0));
