//! What is prepared for toolchains makes them faster and changes no result. These tests need what
//! `scripts/languages cpp java ruby` prepares.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;
use gavel_domain::{LanguageId, Outcome};
use gavel_sandbox::{Compilation, Languages, Sandbox, SandboxConfig, TierChoice};

use crate::support::{CPP, chain, config, limits, tier, tiers};

const JAVA: LanguageId = LanguageId(62);
const RUBY: LanguageId = LanguageId(72);
/// A list that does not exist.
pub(crate) const MISSING: &str = "/usr/local/lib/gavel/none/inputs";
pub(crate) const CPP_INPUTS: &str = "/usr/local/lib/gavel/cpp/inputs";
/// What GCC prints if it uses the header.
const USED: &str = "! /usr/local/lib/gavel/cpp/headers/bits/stdc++.h.gch/gnu++17";

/// A table with the built-in entry of a language in which texts are replaced.
pub(crate) fn changed(language: LanguageId, replacements: &[(&str, &str)]) -> Languages {
    let key = match language {
        JAVA => "key = \"java\"\n",
        RUBY => "key = \"ruby\"\n",
        LanguageId(50) => "key = \"c\"\n",
        LanguageId(75) => "key = \"c-clang\"\n",
        LanguageId(76) => "key = \"cpp-clang\"\n",
        _ => "key = \"cpp\"\n",
    };
    let mut entries = include_str!("../../languages.toml").split("[[language]]");
    let mut entry = entries.find(|entry| entry.contains(key)).unwrap().to_owned();
    for (from, to) in replacements {
        assert!(entry.contains(from), "{from}");
        entry = entry.replace(from, to);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("[[language]]{entry}")).unwrap();
    Languages::default().with_file(file.path()).unwrap().only(&[language.0])
}

pub(crate) async fn start(languages: Languages, tier: TierChoice) -> Sandbox {
    let config = SandboxConfig { languages, tier, ..config(1) };
    Sandbox::start(config).await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// What a program does: its outcome, output and error output.
pub(crate) type Printed = (Outcome, Vec<u8>, Vec<u8>);

/// The result of a compilation: its messages, or what the program does.
pub(crate) async fn result(sandbox: &Sandbox, language: LanguageId, source: &str) -> Result<Printed, String> {
    let mut workspace = sandbox.workspace().await.unwrap();
    match workspace.compile(language, source.as_bytes()).await.unwrap() {
        Compilation::Failed { output } => Err(String::from_utf8_lossy(&output).into_owned()),
        Compilation::Ready(program) => {
            let execution = workspace.run(&program, Bytes::new(), &limits()).await.unwrap();
            Ok((execution.outcome, execution.stdout, execution.stderr))
        }
    }
}

/// GCC's messages on a program that is rejected, with the headers that it reads.
async fn headers(inputs: &Path, tier: TierChoice) -> String {
    let languages = changed(
        CPP,
        &[
            ("\"-static\"", "\"-static\", \"-H\""),
            // The messages are those of the command with the speedup.
            ("changes_messages = true", "changes_messages = false"),
            (CPP_INPUTS, inputs.to_str().unwrap()),
        ],
    );
    let sandbox = start(languages, tier).await;
    let source = "#include <bits/stdc++.h>\nint main(){return undefined;}";
    let output = result(&sandbox, CPP, source).await.unwrap_err();
    sandbox.shutdown().await;
    assert!(output.contains("was not declared in this scope"), "{output}");
    output
}

#[tokio::test]
async fn precompiled_header_is_used_only_while_its_inputs_are_unchanged() {
    for tier in tiers() {
        let output = headers(Path::new(CPP_INPUTS), tier).await;
        assert!(output.contains(USED), "{tier}: {output}");
    }
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("inputs");
    let output = headers(&inputs, tier()).await;
    assert!(!output.contains(USED), "no list: {output}");
    let list = std::fs::read_to_string(CPP_INPUTS).unwrap();
    std::fs::write(&inputs, list.replacen("/usr/include/", "/usr/include/./", 1)).unwrap();
    assert!(headers(&inputs, tier()).await.contains(USED), "the same list");
    std::fs::write(&inputs, format!("{list}1 2 /usr/bin/g++\n")).unwrap();
    let output = headers(&inputs, tier()).await;
    assert!(!output.contains(USED), "another compiler: {output}");
}

#[tokio::test]
async fn archive_of_classes_is_used_by_the_java_front_end() {
    for tier in tiers() {
        let archive = "compiler.jsa\", \"-Xlog:disable\"";
        let languages = changed(JAVA, &[(archive, "compiler.jsa\", \"-Xlog:cds:stderr\"")]);
        let sandbox = start(languages, tier).await;
        let output = result(&sandbox, JAVA, "class Main { int x = ; }").await.unwrap_err();
        let opened = output.find("Opened archive /usr/local/lib/gavel/java/compiler.jsa");
        assert!(opened.is_some_and(|at| output[at..].contains("Mapped static")), "{tier}: {output}");
        assert!(output.contains("Main.java:1: error: illegal start of expression"), "{tier}: {output}");
        sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn archive_of_classes_is_used_by_java_programs() {
    for tier in tiers() {
        let log = "\"-Xlog:disable\", \"-Xlog:all=warning:stderr\"";
        let languages = changed(JAVA, &[(log, "\"-Xlog:class+load:stderr\"")]);
        let sandbox = start(languages, tier).await;
        let source = "class A { public static void main(String[] a) { System.out.print(new java.util.Scanner(\"1\").nextInt()); } }";
        let (outcome, stdout, stderr) = result(&sandbox, JAVA, source).await.unwrap();
        let stderr = String::from_utf8_lossy(&stderr);
        assert_eq!((outcome, stdout), (Outcome::Exited { code: 0 }, b"1".to_vec()), "{tier}: {stderr}");
        // Java's own archive does not have it.
        let is_archived = |line: &str| line.contains("java.util.Scanner source: shared objects file");
        assert!(stderr.lines().any(is_archived), "{tier}: {stderr}");
        sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn java_works_without_the_archives_or_with_invalid_ones() {
    let invalid = |name| (name, "/usr/bin/true");
    let missing = ("/usr/local/lib/gavel/java/inputs", MISSING);
    let compiler = invalid("/usr/local/lib/gavel/java/compiler.jsa");
    let program = invalid("/usr/local/lib/gavel/java/program.jsa");
    for replacement in [compiler, program, missing] {
        let languages = changed(JAVA, &[replacement]);
        let sandbox = start(languages, tier()).await;
        let source = "class A { public static void main(String[] a) { System.out.print(1); } }";
        let printed = result(&sandbox, JAVA, source).await;
        assert_eq!(printed, Ok((Outcome::Exited { code: 0 }, b"1".to_vec(), Vec::new())));
        let messages = result(&sandbox, JAVA, "class Main { int x = ; }").await.unwrap_err();
        assert!(messages.starts_with("Main.java:1: error: illegal start of expression"), "{messages}");
        sandbox.shutdown().await;
    }
}

#[tokio::test]
async fn front_end_of_the_installation_is_used_only_if_it_was_built_from_the_same_source() {
    // Drops privileges, if the test is without: the folder belongs to the judge's user.
    drop(config(1));
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let built = Path::new("/usr/local/lib/gavel/java/front_end");
    std::fs::copy(built.join("Main.java"), folder.path().join("Main.java")).unwrap();
    // Its use fails.
    std::fs::write(folder.path().join("main.jar"), "no archive").unwrap();
    let languages = || changed(JAVA, &[(built.to_str().unwrap(), folder.path().to_str().unwrap())]);
    let source = "class A { public static void main(String[] a) { System.out.print(1); } }";

    let sandbox = start(languages(), tier()).await;
    let messages = result(&sandbox, JAVA, source).await.unwrap_err();
    assert!(messages.contains("main.jar"), "{messages}");
    sandbox.shutdown().await;

    std::fs::write(folder.path().join("Main.java"), "another source").unwrap();
    let sandbox = start(languages(), tier()).await;
    let printed = result(&sandbox, JAVA, source).await;
    assert_eq!(printed, Ok((Outcome::Exited { code: 0 }, b"1".to_vec(), Vec::new())));
    sandbox.shutdown().await;
}

/// Programs that use what Ruby loads at its start, or that show whether it is loaded.
const RUBY_PROGRAMS: [&str; 16] = [
    "def foo_bar; end\nbegin; foo_baz; rescue NameError => e; puts e.message; p e.corrections, e.original_message; end",
    "begin; {foo: 1}.fetch(:food); rescue KeyError => e; puts e.message; end\n1.tims {}",
    "case {a: 1}; in {b:} then 1; end",
    "def a; zork 1; end\na",
    "require 'nothing'",
    "require_relative 'nothing'",
    "begin; require 'nothing'; rescue LoadError => e; puts e.message, e.path, e.backtrace; p e.cause; end",
    "$VERBOSE = true\nrequire 'prime'\np Prime.first(3), $VERBOSE\ngem 'nothing'",
    "require 'set'\nrequire 'json'\nputs JSON.generate({a: Set[1].to_a})\np Gem::VERSION, RbConfig::CONFIG['host_os']",
    "class A; include MonitorMixin; end\np A.new.mon_synchronize { 5 }, Monitor.new.class, defined?(DidYouMean)",
    "class Monitor < String; end",
    "puts Object.constants.sort\np method(:require).owner, method(:gem).owner",
    "puts Ractor.new { begin; zork; rescue NameError => e; e.message; end }.take\np Ractor",
    "p Ractor.new { 1 }.take, $LOADED_FEATURES.grep(/rubygems.rb/).size, Ractor::RemoteError.ancestors",
    "t = Thread.new { zork }\nt.report_on_exception = false\nt.join",
    "def f(n) = f(n + 1)\nbegin; f(0); rescue SystemStackError => e; puts e.message; end\nraise 'x' if __FILE__ != $0",
];

#[tokio::test]
async fn ruby_prints_the_same_whether_all_is_loaded_at_its_start_or_not() {
    let faster = start(Languages::default().only(&[RUBY.0]), tier()).await;
    let usual = start(changed(RUBY, &[("/usr/local/lib/gavel/ruby/inputs", MISSING)]), tier()).await;
    let is_loaded = "p $LOADED_FEATURES.any? { |file| file.include?('rubygems') }";
    let shown = |text: &str| Ok((Outcome::Exited { code: 0 }, text.as_bytes().to_vec(), Vec::new()));
    assert_eq!(result(&faster, RUBY, is_loaded).await, shown("false\n"));
    assert_eq!(result(&usual, RUBY, is_loaded).await, shown("true\n"));
    for source in RUBY_PROGRAMS {
        let faster = result(&faster, RUBY, source).await;
        assert_eq!(faster, result(&usual, RUBY, source).await, "{source}");
    }
    faster.shutdown().await;
    usual.shutdown().await;
}
