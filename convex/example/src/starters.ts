/**
 * Programs that the editor starts with, by question and Judge0 language id. Only the first question has some, so that a
 * new visitor can press Submit at once.
 */
const STARTERS: Record<string, Record<number, string>> = {
  sum: {
    50: '#include <stdio.h>\n\nint main(void) {\n    long long a, b;\n    scanf("%lld %lld", &a, &b);\n    printf("%lld\\n", a + b);\n    return 0;\n}\n',
    54: '#include <iostream>\n\nint main() {\n    long long a, b;\n    std::cin >> a >> b;\n    std::cout << a + b << "\\n";\n}\n',
    63: 'const [a, b] = require("fs").readFileSync(0, "utf8").trim().split(" ").map(BigInt);\nconsole.log(String(a + b));\n',
    71: "a, b = map(int, input().split())\nprint(a + b)\n",
  },
};

/** Returns the program that the editor starts with, which may be empty. */
export function starter(slug: string, languageId: number): string {
  return STARTERS[slug]?.[languageId] ?? "";
}
