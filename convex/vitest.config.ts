import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// convex-test needs to be transformed by Vite: it loads the functions with import.meta.glob.
const server = { deps: { inline: ["convex-test", "@convex-dev/workpool", "@convex-dev/batch-worker"] } };

export default defineConfig({
  plugins: [react()],
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
