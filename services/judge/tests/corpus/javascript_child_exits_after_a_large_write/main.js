const { spawnSync } = require("child_process");
const script = 'console.log("0123456789abcde\\n".repeat(262144).slice(0, -1)); process.exit(0)';
process.stdout.write("0123456789abcde\n".repeat(262144));
const { status } = spawnSync(process.execPath, ["-e", script], { stdio: "inherit" });
process.reallyExit(status);
