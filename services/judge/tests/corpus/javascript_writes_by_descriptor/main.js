const text = "0123456789abcde\n".repeat(524288);
const fs = require("fs");
process.stdout.write("");
const written = fs.writeSync(1, text);
process.exit(written === text.length ? 0 : 1);
