//! What a learner sees of a compiler's output: its messages, without its advice to report a bug, its stack dumps and
//! the toolchain's paths.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

/// Said instead of the compiler's report about its own failure.
pub(crate) const INTERNAL_ERROR: &str = "The compiler stopped with an internal error.";
/// Said if the linker cannot place the data: code reaches 2 GiB in the code model that compilers use by default.
const DATA_TOO_LARGE: &str = "The program's static data is too large: it must be less than 2 GiB.";

/// Where the report of a compiler's own failure starts. Nothing after that helps the learner.
static CRASH_REPORT: LazyLock<Regex> = LazyLock::new(|| {
    lines(&[
        // GCC: a backtrace, then the advice.
        r"0x[0-9a-f]{4,16} \S",
        r"Please submit a full bug report",
        // Clang and everything else that uses LLVM.
        r"PLEASE submit a bug report",
        r"Stack dump:",
        r" *#\d+ 0x[0-9a-f]+ ",
        r"clang(\+\+)?: error: (unable to execute command|clang frontend command failed)",
        // The backtraces of the C library, and rustc.
        r"\S+\([^)\s]*\+0x[0-9a-f]+\) ?\[0x[0-9a-f]+\]$",
        r"error: rustc interrupted by SIG",
        r"thread '[^']*' (\(\d+\) )?(has overflowed its stack|panicked at)",
        r"note: (the compiler unexpectedly panicked|we would appreciate a (bug )?report)",
        r"query stack during panic",
        // GHC, Go.
        r"Please report this as a GHC bug",
        r"Please file a bug report including",
        r"runtime: goroutine stack exceeds",
        r"goroutine \d+ \[",
        // javac and kotlinc; the frames are also those of the TypeScript compiler.
        r"An exception has occurred in the compiler",
        r"The system is out of resources\.",
        r"exception: [\w.]+(Exception|Error)\b",
        r"\s+at [\w.$/<>@-]+ ?\(.*\)$",
        // Mono, Free Pascal.
        r"(\[ERROR\] FATAL )?(Unhandled Exception|UNHANDLED EXCEPTION):",
        r"An unhandled exception occurred at \$",
        r"Error: \S+ can't be executed, error message: Failed to execute .* error code: -\d+",
    ])
});
/// A compiler's message that it failed itself, in the places where compilers write it: not in a quoted line of source.
static INTERNAL_FAILURE: LazyLock<Regex> = LazyLock::new(|| {
    lines(&[
        r"(\S+: |\S+ )?(error( \w+)?: )?[Ii]nternal compiler error\b",
        r"Fatal: Internal error \d+",
        r"(>> )?Fatal error: exception ",
        r"ghc(-[\d.]+)?: panic!",
        r"LLVM ERROR: ",
        r"fatal error: stack overflow",
    ])
});
/// A tool's message that a file met the limit of a file's size.
static FILE_TOO_LARGE: LazyLock<Regex> = LazyLock::new(|| {
    lines(&[
        r"(\S*/)?[a-z0-9_+-]+: .*File (size limit exceeded|too large)",
        r"clang(\+\+)?: error: unable to execute command: File size limit exceeded",
        r"/\S+: .*File too large",
    ])
});
/// The linker's messages that an address is out of the reach of an instruction, and the line before the first.
static OUT_OF_REACH: LazyLock<Regex> = LazyLock::new(|| {
    lines(&[
        r"(\S+: in function .*\n)?\S.*relocation truncated to fit: R_(X86_64_(PC32|PLT32|32S?|(REX_)?GOTPCRELX?)|AARCH64_ADR_PREL_\w+) ",
        r"(\S+: in function .*\n)?\S.*failed to convert GOTPCREL relocation ",
    ])
});

/// The end of a compilation that a compiler reported itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The source is wrong, and the messages say why.
    Source,
    /// A file met the limit of a file's size.
    FileTooLarge,
    /// What the compiler or the linker cannot do, as a sentence.
    Other(&'static str),
}

/// Removes from the output of a failed compiler what does not help a learner, and returns why the compiler failed.
pub(crate) fn clean(output: &mut Vec<u8>) -> Failure {
    let start = |expression: &Regex| expression.find(output).map(|found| found.start());
    let file_too_large = start(&FILE_TOO_LARGE);
    let (crash, out_of_reach) = (start(&CRASH_REPORT), start(&OUT_OF_REACH));
    if let Some(cut) = [file_too_large, crash, out_of_reach].into_iter().flatten().min() {
        output.truncate(output[..cut].trim_ascii_end().len());
    }
    if file_too_large.is_some() {
        Failure::FileTooLarge
    } else if out_of_reach.is_some() {
        Failure::Other(DATA_TOO_LARGE)
    } else if crash.is_some() || INTERNAL_FAILURE.is_match(output) || output.trim_ascii().is_empty() {
        Failure::Other(INTERNAL_ERROR)
    } else {
        Failure::Source
    }
}

/// Matches any of the expressions at the start of a line.
fn lines(expressions: &[&str]) -> Regex {
    let any = format!("^(?:{})", expressions.join("|"));
    RegexBuilder::new(&any).multi_line(true).build().unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(output: &str) -> (String, Failure) {
        let mut bytes = output.as_bytes().to_vec();
        let failure = clean(&mut bytes);
        (String::from_utf8(bytes).unwrap(), failure)
    }

    #[test]
    fn ordinary_messages_stay_as_they_are() {
        for output in [
            "main.c:3:5: error: 'x' undeclared\n    3 |     puts(\"Please submit a full bug report\");\n      |     ^\n",
            "main.c:3:5: error: expected ';'\n    3 | // internal compiler error: Fatal: Internal error 7\n",
            "main.rs:1:1: error: expected item\n  = note: see issue #64102 for more information\n",
            "main.ts(1,7): error TS2322: Type 'string' is not assignable to type 'number'.\n",
            "Main.java:3: error: cannot find symbol\n    at(1);\n    ^\n  symbol:   method at(int)\n",
            "./main.go:4:2: \"os\" imported and not used\n",
            "main.pas(3,1) Error: Identifier not found \"x\"\nError: /usr/bin/ppcx64 returned an error exitcode\n",
            "/usr/bin/ld: /tmp/a.o: in function `main':\nmain.c:(.text+0x9): undefined reference to `f'\n",
        ] {
            assert_eq!(cleaned(output), (output.to_owned(), Failure::Source));
        }
    }

    #[test]
    fn internal_errors_lose_their_advice_and_dumps() {
        let cases = [
            (
                "main.c:1:5: warning: x\n",
                "gcc: internal compiler error: Segmentation fault signal terminated program cc1\n",
                "Please submit a full bug report, with preprocessed source (by using -freport-bug).\nSee \
                 <file:///usr/share/doc/gcc-12/README.Bugs> for instructions.\n",
            ),
            (
                "main.cpp:4:20: internal compiler error: in tree_to_shwi, at tree.cc:7386\n",
                "",
                "0x7f3a12 tree_to_shwi(tree_node const*)\n\t../../src/gcc/tree.cc:7386\nPlease submit a full bug report,",
            ),
            (
                "",
                "",
                "PLEASE submit a bug report to https://github.com/llvm/llvm-project/issues/ and include\nStack dump:\n0.\t\
                 Program arguments: /usr/lib/llvm-14/bin/clang\n #0 0x00007f3d8e0a5291 llvm::sys::PrintStackTrace\n",
            ),
            (
                "fatal error: error in backend\n",
                "",
                "clang: error: clang frontend command failed due to signal\n",
            ),
            (
                "",
                "",
                "/lib/librustc_driver.so(+0x6db493)[0x7f98858db493]\n/lib/libc.so.6(f+0x3c)[0x7f9884eb1050]\n",
            ),
            (
                "",
                "",
                "error: rustc interrupted by SIGSEGV, printing backtrace\n\n/usr/lib/librustc.so(+0x1)[0x7f]\n",
            ),
            (
                "error: internal compiler error: compiler/rustc_middle/src/ty/mod.rs:1: broken\n\n",
                "",
                "thread 'rustc' panicked at 'Box<dyn Any>', compiler/rustc_errors/src/lib.rs:1:9\nstack backtrace:\n",
            ),
            (
                "ghc: panic! (the 'impossible' happened)\n  (GHC version 9.0.2:\n\tcompletionName\n\n",
                "",
                "Please report this as a GHC bug:  https://www.haskell.org/ghc/reportabug\n",
            ),
            (
                "./main.go:3:6: internal compiler error: order.stmt\n\n",
                "",
                "Please file a bug report including a short program that triggers the error.\nhttps://go.dev/issue/new\n",
            ),
            (
                "",
                "",
                "An exception has occurred in the compiler (17.0.9). Please file a bug against the Java compiler\n",
            ),
            ("\n\n", "", "The system is out of resources.\nConsult the following stack trace for details.\n"),
            ("", "", "exception: java.lang.StackOverflowError\n\tat org.jetbrains.kotlin.A.b(A.kt:1)\n"),
            (
                "RangeError: Maximum call stack size exceeded\n",
                "",
                "    at bind (/usr/local/lib/tsc.js:1:2)\n",
            ),
            ("main.cs(1,255): error CS0584: Internal compiler error: stack overflow.\n", "", ""),
            (
                "main.pas(9,1) Error: x\n",
                "",
                "An unhandled exception occurred at $000000000041D0A5:\nEAccessViolation: \n",
            ),
            ("Fatal: Internal error 200309251\n", "", ""),
            ("Fatal error: exception Stack_overflow\n", "", ""),
        ];
        for (first, second, advice) in cases {
            let (text, failure) = cleaned(&format!("{first}{second}{advice}"));
            assert_eq!(text.trim_end(), format!("{first}{second}").trim_end());
            assert_eq!(failure, Failure::Other(INTERNAL_ERROR), "{text}");
        }
        assert_eq!(cleaned("\n"), ("\n".to_owned(), Failure::Other(INTERNAL_ERROR)), "no message");
    }

    #[test]
    fn file_that_became_too_large_is_recognized() {
        for output in [
            "gcc: internal compiler error: File size limit exceeded signal terminated program as\nPlease submit a full bug\n",
            "PLEASE submit a bug report\nclang: error: unable to execute command: File size limit exceeded\n",
            "/usr/bin/ld: final link failed: File too large\n",
            "/tmp/x.s: Fatal error: can't write 35 bytes to section .text of main.o: 'File too large'\n",
        ] {
            assert_eq!(cleaned(output), (String::new(), Failure::FileTooLarge));
        }
    }

    #[test]
    fn data_out_of_reach_is_recognized() {
        let kept = "main.c:1:5: warning: x";
        for output in [
            "/usr/lib/gcc/x86_64-linux-gnu/12/../../../x86_64-linux-gnu/libc.a(assert.o): in function `__assert_fail':\n\
             (.text+0x109): relocation truncated to fit: R_X86_64_PC32 against symbol `__abort_msg' defined in .bss\n\
             collect2: error: ld returned 1 exit status\n",
            "(.text+0x505): failed to convert GOTPCREL relocation against '_ZSt5wcout'; relink with --no-relax\n",
        ] {
            let expected = (kept.to_owned(), Failure::Other(DATA_TOO_LARGE));
            assert_eq!(cleaned(&format!("{kept}\n{output}")), expected);
        }
    }
}
