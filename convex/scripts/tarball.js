import { readFileSync } from "node:fs";
import { join } from "node:path";

const REQUIRED = [
  "LICENSE",
  "README.md",
  "package.json",
  "dist/component/_generated/component.d.ts",
  "src/component/convex.config.ts",
  "src/component/_generated/component.ts",
];
const ALLOWED = /^(?:dist\/|src\/|LICENSE$|README\.md$|package\.json$)/;
const FOR_DEVELOPMENT = /\.(?:test|fixture)\.|\/testing\/|node_modules|(?:^|\/)\.env|\.tsbuildinfo$/;
const SECRETS = /whsec_[A-Za-z0-9+/=]{24,}|-----BEGIN [A-Z ]*PRIVATE KEY|"d":\s*"[\w-]{20,}"|convex_deploy_key/i;
const MAX_BYTES = 300_000;

/**
 * What is wrong with a packed package: missing files, files that must not ship, secrets, and its size.
 *
 * @param {string[]} paths the files in the tarball
 * @param {number} bytes the size of the tarball
 * @param {string} folder where the package is installed
 * @returns {string[]} a sentence for each problem
 */
export function problemsOf(paths, bytes, folder) {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const exported = Object.values(manifest.exports).flatMap((target) =>
    typeof target === "string" ? [target] : Object.values(target),
  );
  const required = [...REQUIRED, ...exported.map((path) => path.replace("./", ""))];
  return [
    ...required.filter((path) => !paths.includes(path)).map((path) => `${path} is missing`),
    ...paths.filter((path) => !ALLOWED.test(path)).map((path) => `${path} is not part of the package`),
    ...paths.filter((path) => FOR_DEVELOPMENT.test(path)).map((path) => `${path} is for development only`),
    ...paths
      .filter((path) => SECRETS.test(readFileSync(join(folder, path), "utf8")))
      .map((path) => `${path} contains what looks like a secret`),
    ...(bytes > MAX_BYTES ? [`the tarball has ${bytes} bytes, and may have ${MAX_BYTES}`] : []),
  ];
}
