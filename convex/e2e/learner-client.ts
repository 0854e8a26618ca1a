import { ConvexClient } from "convex/browser";
import WebSocket from "ws";
import type { Learner } from "./learner";

/** Calls the functions of the app with the token of a learner, as anybody can who opens the browser's console. */
export async function withClientOf<T>(learner: Learner, call: (client: ConvexClient) => Promise<T>): Promise<T> {
  const token = await learner.page.evaluate(() => localStorage.getItem("gavel.token"));
  const client = new ConvexClient(new URL(learner.page.url()).origin, {
    webSocketConstructor: WebSocket as unknown as typeof globalThis.WebSocket,
    unsavedChangesWarning: false,
  });
  client.setAuth(() => Promise.resolve(token));
  try {
    return await call(client);
  } finally {
    await client.close();
  }
}
