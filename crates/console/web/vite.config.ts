import { defineConfig } from "vitest/config";

export default defineConfig({
  // Relative addresses would break below /submissions/.
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    // Without light-dark() the theme could follow the system only.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // A `data:` URL or a polyfill would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  // `npm run dev` takes the data from a console on its default port.
  server: { proxy: { "/api": "http://127.0.0.1:4006" } },
  test: {
    projects: [
      { extends: true, test: { name: "unit", environment: "node", include: ["src/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "e2e",
          environment: "node",
          include: ["e2e/**/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          // The tests start a browser and a pipeline; two files at once would compete for the processors.
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: { name: "screenshot", environment: "node", include: ["e2e/screenshot.ts"], testTimeout: 7_200_000 },
      },
    ],
  },
});
