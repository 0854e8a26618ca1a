import { spawn } from "node:child_process";

/**
 * Run a command in a folder, and return its standard output. Fails, with the output, if its exit code is not 0.
 *
 * @param {string[]} command the program and its arguments
 * @param {string} cwd
 * @returns {Promise<string>}
 */
export async function run([program = "", ...argv], cwd) {
  const child = spawn(program, argv, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let all = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
    all += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => (all += text));
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  if (code !== 0) {
    throw new Error(`"${[program, ...argv].join(" ")}" exited with ${code}:\n${all}`);
  }
  return stdout;
}

/**
 * Print an error of a script, and let the process exit with 1.
 *
 * @param {unknown} error
 */
export function exitWithFailure(error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
