import path from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const root = import.meta.dirname;

export default defineConfig({
  root,
  // Relative addresses, so that the page works under any path.
  base: "./",
  plugins: [react()],
  resolve: { alias: { "@gavel/convex/react": path.join(root, "../src/react/index.ts") } },
  build: { outDir: "dist", emptyOutDir: true },
});
