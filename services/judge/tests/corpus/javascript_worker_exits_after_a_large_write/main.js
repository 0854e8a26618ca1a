const { Worker, isMainThread } = require("worker_threads");
const fs = require("fs");
if (isMainThread) {
  new Worker(__filename).on("exit", () => process.reallyExit(0));
} else {
  const text = "0123456789abcde\n".repeat(524288);
  process.exit(fs.writeSync(1, text) === text.length ? 0 : 1);
}
