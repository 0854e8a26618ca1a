/** Judge0's id of Python 3. */
export const PYTHON = 71;
/** Judge0's id of C. */
export const C = 50;

export const RIGHT = "print(sum(map(int, input().split())))\n";
/** Prints a space before the number. */
export const WRONG = 'print("", sum(map(int, input().split())))\n';
/** Wrong on the hidden test only. */
export const WRONG_IF_LARGE = "print(sum(map(int, input().split())) % 1000)\n";
export const NOT_C = "int main(void) { return undeclared; }\n";
export const ENDLESS = "while True:\n    pass\n";
export const MEMORY_HOG = "block = bytearray(512 << 20)\nprint(3)\n";
export const CRASH = "print(1 // 0)\n";
/** Right, after long enough for Gavel to report that it runs: it does not if there is a verdict. */
export const UNHURRIED = `import time\ntime.sleep(0.5)\n${RIGHT}`;
/** Right, after long enough for a test to do something meanwhile. */
export const SLOW = `import time\ntime.sleep(2.5)\n${RIGHT}`;
