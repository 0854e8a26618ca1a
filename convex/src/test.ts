/// <reference types="vite/client" />
import workpool from "@convex-dev/workpool/test";
import type { TestConvex } from "convex-test";
import type { GenericSchema, SchemaDefinition } from "convex/server";
import schema from "./component/schema.js";

const modules = import.meta.glob("./component/**/*.ts");

/**
 * Registers the component, and the workpool inside it, with an instance of `convexTest`.
 *
 * @param name The name of the component in the app's `convex.config.ts`.
 */
export function register<Schema extends SchemaDefinition<GenericSchema, boolean>>(
  t: TestConvex<Schema>,
  name = "gavel",
): void {
  t.registerComponent(name, schema, modules);
  workpool.register(t, `${name}/pool`);
}

export default { register, schema, modules };
