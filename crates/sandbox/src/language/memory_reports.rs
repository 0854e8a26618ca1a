//! Tests of the patterns of `out_of_memory` (the JVM's are in `entry/tests.rs`), on what runtimes of Debian 12 printed
//! (Node.js: version 20), and on programs that only speak of memory.

use crate::language::Languages;

const CPP: u32 = 54;
const PYTHON: u32 = 71;
const PYTHON_2: u32 = 70;
const NODE: u32 = 63;
const CSHARP: u32 = 51;
const RUBY: u32 = 72;
const RUST: u32 = 73;
const GO: u32 = 60;
const PHP: u32 = 68;
const HASKELL: u32 = 61;
const BASH: u32 = 46;
const PERL: u32 = 85;
const LUA: u32 = 64;
const OCAML: u32 = 65;
const PASCAL: u32 = 67;
const FORTRAN: u32 = 59;
const R: u32 = 80;
const SQL: u32 = 82;

/// What runtimes print.
const REPORTS: &[(u32, &str)] = &[
    (
        PYTHON_2,
        "Traceback (most recent call last):\n  File \"main.py\", line 1, in <module>\n    x = [0] * (1 << 60)\nMemoryError\n",
    ),
    (CPP, "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"),
    (
        PYTHON,
        "about to fail\nTraceback (most recent call last):\n  File \"/box/program/main.py\", line 2, in <module>\n    \
         f()\n  File \"/box/program/main.py\", line 1, in f\n    def f(): return [0] * (1 << 60)\n                    \
         ~~~~^~~~~~~~~~~\nMemoryError\n",
    ),
    (
        PYTHON,
        "Traceback (most recent call last):\n  File \"main.py\", line 2, in <module>\n    1/0\n    ~^~\n\
         ZeroDivisionError: division by zero\n\nDuring handling of the above exception, another exception occurred:\n\n\
         Traceback (most recent call last):\n  File \"main.py\", line 4, in <module>\n    [0] * (1 << 60)\nMemoryError\n",
    ),
    (
        NODE,
        "\n<--- Last few GCs --->\n\n[27066:0x44bbeca0]     1047 ms: Mark-Compact (reduce) 30.5 (63.2) MB\n\n\n\
         <--- JS stacktrace --->\n\nFATAL ERROR: CALL_AND_RETRY_LAST Allocation failed - JavaScript heap out of \
         memory\n----- Native stack trace -----\n\n 1: 0xb78db3 node::OOMErrorHandler(char const*) [node]\n",
    ),
    (
        NODE,
        "/box/program/main.js:1\nBuffer.alloc(1)\n       ^\n\nRangeError: Array buffer allocation failed\n    at \
         Function.alloc (node:buffer:394:17)\n    at node:internal/main/run_main_module:28:49\n\nNode.js v20.20.2\n",
    ),
    (
        NODE,
        "node:events:502\n      throw er; // Unhandled 'error' event\n      ^\n\nError [ERR_WORKER_OUT_OF_MEMORY]: \
         Worker terminated due to reaching memory limit: JS heap out of memory\n    at [kOnExit]\n",
    ),
    (
        CSHARP,
        "\nUnhandled Exception:\nSystem.OutOfMemoryException: Insufficient memory to continue the execution of the \
         program.\n  at P.Main () [0x0000b] in <3026>:0 \n[ERROR] FATAL UNHANDLED EXCEPTION: \
         System.OutOfMemoryException: Insufficient memory to continue the execution of the program.\n  at (wrapper \
         alloc) System.Object.AllocVector(intptr,intptr)\n  at P.Main () [0x0000b] in <3026>:0 \n",
    ),
    (
        CSHARP,
        "[ERROR] FATAL UNHANDLED EXCEPTION: System.AggregateException: One or more errors occurred. (Insufficient \
         memory) ---> System.OutOfMemoryException: Insufficient memory to continue the execution of the program.\n  at P.Main ()\n   --- End of inner \
         exception stack trace ---\n---> (Inner Exception #0) System.OutOfMemoryException: x\n  at P.Main ()<---\n\n",
    ),
    (CSHARP, "Error: Garbage collector could not allocate 16384 bytes of memory for major heap section.\n"),
    (
        RUBY,
        "/box/program/main.rb:2:in `*': failed to allocate memory (NoMemoryError)\n\tfrom main.rb:2:in `<main>'\n",
    ),
    (RUBY, "main.rb: failed to allocate memory (NoMemoryError)\n"),
    (RUBY, "[FATAL] failed to allocate memory\n"),
    (RUST, "memory allocation of 8000000 bytes failed\n"),
    (RUST, "memory allocation of 8 bytes failed\nstack backtrace:\n   0: std::alloc::rust_oom\n"),
    (
        GO,
        "runtime: out of memory: cannot allocate 16777216-byte block (792526848 in use)\nfatal error: out of \
         memory\n\ngoroutine 1 [running]:\nruntime.throw({0x465657?, 0x800?})\n",
    ),
    (GO, "fatal error: runtime: out of memory\n\nruntime stack:\nruntime.throw(...)\n"),
    (
        PHP,
        "\nFatal error: Allowed memory size of 104857600 bytes exhausted (tried to allocate 2097152 bytes) in \
         /box/program/main.php on line 1\n",
    ),
    (
        PHP,
        "\nFatal error: Out of memory (allocated 2097152 bytes) (tried to allocate 32 bytes) in a on line 1\n",
    ),
    (
        PHP,
        "\nmmap() failed: [12] Cannot allocate memory\n\nmmap() failed: [12] Cannot allocate memory\nOut of memory\n",
    ),
    (HASKELL, "main: out of memory (requested 1048576 bytes)\n"),
    (HASKELL, "main: heap overflow\n"),
    (BASH, "/box/program/main.sh: xrealloc: cannot allocate 134217856 bytes\n"),
    (BASH, "/box/program/main.sh: line 3: xmalloc: cannot allocate 405053440 bytes\n"),
    (PERL, "Out of memory!\n"),
    (PERL, "Out of memory!\npanic: fold_constants JMPENV_PUSH returned 2 at b.pl line 1.\n"),
    (LUA, "lua5.4: not enough memory\n"),
    (OCAML, "Fatal error: exception Out_of_memory\n"),
    (OCAML, "Fatal error: exception Stdlib.Out_of_memory\nRaised at Main in file \"main.ml\"\n"),
    (OCAML, "Fatal error: out of memory\n"),
    (PASCAL, "Runtime error 203 at $0000000000418E37\n  $0000000000418E37\n\n"),
    (
        PASCAL,
        "An unhandled exception occurred at $0000000000418E37:\nEOutOfMemory: Out of memory\n  $0000000000418E37\n\n",
    ),
    (
        FORTRAN,
        "In file 'main.f90', around line 6: Error allocating 8000000000000 bytes: Cannot allocate memory\n\nError \
         termination. Backtrace:\n#0  0x40198c in MAIN__\n",
    ),
    (R, "Error: cannot allocate vector of size 7450.6 Gb\nExecution halted\n"),
    (SQL, "Runtime error near line 1: out of memory (7)\n"),
];

/// What programs print or raise.
const LOOKALIKES: &[(u32, &str)] = &[
    (PYTHON_2, "MemoryError\n"),
    (CPP, "  what():  std::bad_alloc\n"),
    (CPP, "terminate called after throwing an instance of 'std::runtime_error'\n  what():  std::bad_alloc\n"),
    (
        CPP,
        "terminate called after throwing an instance of 'std::bad_array_new_length'\n  what():  \
         std::bad_array_new_length\n",
    ),
    (PYTHON, "MemoryError\n"),
    (
        PYTHON,
        "Traceback (most recent call last):\n  File \"main.py\", line 1, in <module>\nRuntimeError: \
         no\nMemoryError\n",
    ),
    (
        PYTHON,
        "Traceback (most recent call last):\n  File \"main.py\", line 2, in <module>\nMemoryError\n\nThe above \
         exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \
         \"main.py\", line 4, in <module>\nValueError: x\n",
    ),
    (NODE, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n"),
    (
        NODE,
        "main.js:1\nthrow\n^\n\nError: RangeError: Array buffer allocation failed\n    at x\n\nNode.js v20\n",
    ),
    (
        CSHARP,
        "[ERROR] FATAL UNHANDLED EXCEPTION: System.Exception: System.OutOfMemoryException\n  at P.Main ()\n",
    ),
    (CSHARP, "System.OutOfMemoryException: Insufficient memory to continue the execution of the program.\n"),
    (CSHARP, "[ERROR] FATAL UNHANDLED EXCEPTION: System.OutOfMemoryException: mine\n  at P.Main ()\n"),
    (
        PYTHON,
        "Traceback (most recent call last):\n  File \"main.py\", line 1, in <module>\nMemoryError: mine\n",
    ),
    (RUBY, "main.rb:1:in `<main>': failed to allocate memory (NoMemoryError) (RuntimeError)\n"),
    (RUST, "thread 'main' panicked at main.rs:1:1:\nmemory allocation of 8 bytes failed\nnote\n"),
    (GO, "runtime: out of memory\nexit status 3\n"),
    (GO, "panic: fatal error: runtime: out of memory\n\ngoroutine 1 [running]:\n"),
    (PHP, "\nFatal error: Uncaught Exception: Out of memory (allocated 1) in a on line 1 in b on line 2\n"),
    (PHP, "\nFatal error: Out of memory in a on line 1\n"),
    (
        HASKELL,
        "main: out of memory\nCallStack (from HasCallStack):\n  error, called at main.hs:1:8 in main:Main\n",
    ),
    (HASKELL, "main: user error (heap overflow)\n"),
    (BASH, "sort: Cannot allocate memory\n"),
    (PERL, "Out of memory! at main.pl line 1.\n"),
    (LUA, "lua5.4: main.lua:1: not enough memory\nstack traceback:\n\t[C]: in ?\n"),
    (LUA, "lua5.4: not enough memory\nstack traceback:\n\t[C]: in ?\n"),
    (OCAML, "Fatal error: exception Failure(\"Out_of_memory\")\n"),
    (
        PASCAL,
        "An unhandled exception occurred at $0000000000401099:\nException: EOutOfMemory: Out of memory\n  $00000\n",
    ),
    (FORTRAN, "ERROR STOP Error allocating 5 bytes\n\nError termination. Backtrace:\n"),
    (R, "Error in f() : cannot allocate vector of size 8 Gb\nExecution halted\n"),
    (SQL, "Runtime error near line 4: out of memory (19)\n"),
];

fn is_report(table: &Languages, id: u32, stderr: &str) -> bool {
    let entry = table.entries().iter().find(|language| language.ids.contains(&id)).unwrap();
    entry.out_of_memory.as_ref().unwrap().is_match(stderr.as_bytes())
}

#[test]
fn report_of_the_runtime_is_recognized() {
    let table = Languages::default();
    for (id, stderr) in REPORTS {
        assert!(is_report(&table, *id, stderr), "{id}: {stderr}");
    }
}

#[test]
fn text_of_the_program_is_not_a_report() {
    let table = Languages::default();
    for (id, stderr) in LOOKALIKES {
        assert!(!is_report(&table, *id, stderr), "{id}: {stderr}");
    }
}
