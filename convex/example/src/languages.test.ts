import type { LanguageView } from "@gavel/convex/react";
import { describe, expect, test } from "vitest";
import { distinctLanguages } from "./languages";

const language = (id: number, name: string, version: string): LanguageView => ({
  id,
  name,
  version,
  engines: ["sandbox"],
  judges: 1,
});

const SERVED = [
  language(48, "C (GCC)", "12.2.0"),
  language(50, "C (GCC)", "12.2.0"),
  language(71, "Python", "3.11.2"),
  language(92, "Python", "3.11.2"),
  language(46, "Bash", "5.2.15"),
];

const idsOf = (languages: LanguageView[]) => languages.map(({ id }) => id);

describe("distinctLanguages", () => {
  test("returns one language for each toolchain, by name, under the id that the page knows", () => {
    expect(idsOf(distinctLanguages(SERVED, undefined))).toEqual([46, 50, 71]);
  });

  test("keeps the current id of a toolchain", () => {
    expect(idsOf(distinctLanguages(SERVED, 92))).toEqual([46, 50, 92]);
  });

  test("keeps two versions of a language apart", () => {
    const both = [language(70, "Python", "2.7.18"), language(71, "Python", "3.11.2")];
    expect(idsOf(distinctLanguages(both, undefined))).toEqual([70, 71]);
  });
});
