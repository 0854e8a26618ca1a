//! The baseline: the compiler and the program as plain processes, with the flags of the sandbox's table.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The question's input and output on each test.
pub(super) const STDIN: &str = "7\n35\n";
pub(super) const STDOUT: &str = "42\n";
/// The tests of the question.
pub(super) const TESTS: u32 = 10;

const NODE: &str = "node --max-old-space-size=256 main.js";
const RUN_JAVA: &str = "java -XX:+UseSerialGC -Xmx324m -Xmn64m -Xss128m -XX:-UsePerfData";
/// Kotlin's compiler starts without the archive of its classes, which Gavel adds.
const KOTLIN: &str = "/usr/local/lib/gavel/kotlin/node_modules/kotlin-compiler/lib";

/// A language with its program, which adds two numbers.
pub(super) struct Case {
    /// The name in the output and for `--only`.
    pub(super) name: &'static str,
    pub(super) id: u32,
    /// The folder of the program in the corpus.
    folder: &'static str,
    source: &'static str,
    /// What precedes the program's text.
    preamble: &'static str,
    /// What starts a comment.
    comment: &'static str,
    /// Empty if the language is interpreted. Arguments are separated by spaces.
    compile: String,
    run: String,
    /// The highest ratio to the baseline for a source that was not compiled before, if there is a bar.
    pub(super) cold_bar: Option<f64>,
    /// The same for a source that is compiled already, relative to the plain runs alone.
    pub(super) warm_bar: Option<f64>,
}

/// How long the baseline takes.
pub(super) struct PlainTimes {
    pub(super) compile: Duration,
    /// All runs, one after the other.
    pub(super) runs: Duration,
}

impl Case {
    /// The program, with a comment that makes it different from all others.
    pub(super) fn text(&self, nonce: &str) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services/judge/tests/corpus");
        let path = format!("{folder}/{}_answers/{}", self.folder, self.source);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
        format!("{}{text}\n{} {nonce}\n", self.preamble, self.comment)
    }

    /// Compiles and runs the program in a new directory.
    pub(super) fn measure(&self) -> PlainTimes {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(self.source), self.text("plain")).unwrap();
        let began = Instant::now();
        if !self.compile.is_empty() {
            execute(&self.compile, folder.path());
        }
        let compile = began.elapsed();
        let began = Instant::now();
        for _ in 0..TESTS {
            assert_eq!(execute(&self.run, folder.path()), STDOUT, "{}", self.run);
        }
        PlainTimes { compile, runs: began.elapsed() }
    }
}

/// Runs a command and returns its standard output.
fn execute(command: &str, folder: &Path) -> String {
    let mut words = command.split(' ');
    let program = words.next().unwrap();
    // The sandbox's toolchain, not another one that PATH may have.
    let program = if program.starts_with("./") { program.to_owned() } else { format!("/usr/bin/{program}") };
    let mut child = Command::new(program);
    child
        .args(words)
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder)
        .env("CGO_ENABLED", "0")
        .env("GO111MODULE", "off");
    // Like the sandbox, where the cache of Go is empty for each submission.
    child.env("GOCACHE", folder.join("go-cache")).env("GOFLAGS", "-p=2");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(STDIN.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The languages, in the order of the output.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, id, source, comment, compile: &str, run: &str| Case {
        name,
        id,
        folder: name,
        source,
        preamble: "",
        comment,
        compile: compile.to_owned(),
        run: run.to_owned(),
        cold_bar: None,
        warm_bar: None,
    };
    let java = "javac -J-XX:+UseSerialGC -J-Xmx320m -J-XX:TieredStopAtLevel=1 -J-XX:-UsePerfData -proc:none Main.java";
    let kotlin = format!(
        "java -Xmx448m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData \
         -jar {KOTLIN}/kotlin-compiler.jar -no-reflect -nowarn -api-version 2.0 -Xsuppress-version-warnings \
         -Xdisable-default-scripting-plugin main.kt -d main.jar"
    );
    let run_kotlin = format!("{RUN_JAVA} -Xbootclasspath/a:{KOTLIN}/kotlin-stdlib.jar -jar main.jar");
    let typescript = "node /usr/local/lib/gavel/typescript/node_modules/typescript/bin/tsc --target es2022 --lib es2023 \
                      --module commonjs --moduleDetection force --strict false --skipLibCheck \
                      --typeRoots /usr/local/lib/gavel/typescript/node_modules/@types --types node main.ts";
    let (gcc, clang) =
        ("gcc -O2 -std=gnu17 -static -o main main.c -lm", "clang -O2 -std=gnu17 -static -o main main.c -lm");
    let cpp = "g++ -O2 -std=gnu++17 -static -o main main.cpp";
    let cpp_clang = "clang++ -O2 -std=gnu++17 -static -o main main.cpp";
    let bits = "#include <bits/stdc++.h>\n";
    vec![
        Case {
            folder: "cpp",
            preamble: bits,
            cold_bar: Some(0.35),
            ..case("cpp-bits", 54, "main.cpp", "//", cpp, "./main")
        },
        Case { cold_bar: Some(0.8), ..case("cpp", 54, "main.cpp", "//", cpp, "./main") },
        Case {
            folder: "cpp_clang",
            preamble: bits,
            ..case("cpp-clang-bits", 76, "main.cpp", "//", cpp_clang, "./main")
        },
        Case { folder: "cpp_clang", ..case("cpp-clang", 76, "main.cpp", "//", cpp_clang, "./main") },
        case("c", 50, "main.c", "//", gcc, "./main"),
        Case { folder: "c_clang", ..case("c-clang", 75, "main.c", "//", clang, "./main") },
        Case {
            cold_bar: Some(0.6),
            warm_bar: Some(0.6),
            ..case("java", 62, "Main.java", "//", java, &format!("{RUN_JAVA} -cp . Main"))
        },
        Case {
            cold_bar: Some(0.5),
            warm_bar: Some(0.6),
            ..case("kotlin", 78, "main.kt", "//", &kotlin, &run_kotlin)
        },
        Case { warm_bar: Some(0.6), ..case("python", 71, "main.py", "#", "", "python3 main.py") },
        Case { warm_bar: Some(0.6), ..case("javascript", 63, "main.js", "//", "", NODE) },
        Case { warm_bar: Some(0.6), ..case("typescript", 74, "main.ts", "//", typescript, NODE) },
        Case { warm_bar: Some(0.4), ..case("ruby", 72, "main.rb", "#", "", "ruby main.rb") },
        Case {
            warm_bar: Some(0.6),
            ..case(
                "csharp",
                51,
                "main.cs",
                "//",
                "mcs -langversion:latest -optimize+ main.cs",
                "mono main.exe",
            )
        },
        Case {
            warm_bar: Some(0.6),
            ..case("php", 68, "main.php", "//", "", "php -d memory_limit=-1 main.php")
        },
        case("go", 60, "main.go", "//", "go build -o main main.go", "./main"),
        case("rust", 73, "main.rs", "//", "rustc -O --edition 2021 -o main main.rs", "./main"),
        case("haskell", 61, "main.hs", "--", "ghc -v0 -O -o main main.hs", "./main"),
    ]
}
