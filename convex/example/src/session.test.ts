import { expect, test } from "vitest";
import { isUsable } from "./session";

const NOW = Date.UTC(2026, 0, 1);

/** A token without a signature that expires after a number of milliseconds. */
function token(lifetime: number): string {
  const payload = JSON.stringify({ exp: (NOW + lifetime) / 1000, sub: "ÿÿÿ???" });
  const bytes = String.fromCharCode(...new TextEncoder().encode(payload));
  return `header.${btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")}.signature`;
}

test.each([
  ["an hour before its expiry", token(3_600_000), true],
  ["ten seconds before its expiry", token(10_000), false],
  ["after its expiry", token(-1000), false],
  ["without claims", "a.b.c", false],
  ["without parts", "", false],
  ["that is missing", null, false],
])("token %s", (_name, text, isExpected) => expect(isUsable(text, NOW)).toBe(isExpected));
