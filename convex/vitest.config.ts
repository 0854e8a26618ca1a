import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// convex-test needs to be transformed by Vite: it loads the functions with import.meta.glob.
const server = { deps: { inline: ["convex-test", "@convex-dev/workpool", "@convex-dev/batch-worker"] } };

// The example imports the package by name. Tests take the sources, so that they need no build.
const source = (path: string) => fileURLToPath(new URL(`src/${path}`, import.meta.url));
const alias = [
  { find: /^@gavel\/convex$/, replacement: source("client/index.ts") },
  { find: /^@gavel\/convex\/react$/, replacement: source("react/index.ts") },
  { find: /^@gavel\/convex\/test$/, replacement: source("test.ts") },
  { find: /^@gavel\/convex\/convex\.config\.js$/, replacement: source("component/convex.config.ts") },
];

export default defineConfig({
  plugins: [react()],
  resolve: { alias },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "component",
          environment: "edge-runtime",
          include: ["src/{component,client}/**/*.test.ts", "example/convex/**/*.test.ts"],
          server,
        },
      },
      {
        extends: true,
        test: { name: "react", environment: "happy-dom", include: ["{src/react,example/src}/**/*.test.{ts,tsx}"] },
      },
      {
        extends: true,
        test: { name: "node", environment: "node", include: ["{dev-server,scripts,src/wire}/**/*.test.ts"], server },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          environment: "node",
          include: ["e2e/**/*.test.ts"],
          globalSetup: "e2e/build.ts",
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // The tests start a browser and the services; two files at once would compete for the processors.
          fileParallelism: false,
          server,
        },
      },
    ],
  },
});
