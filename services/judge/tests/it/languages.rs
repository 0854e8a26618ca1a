//! The table of languages: the operator's file, and languages that are not available.

use gavel_domain::{LanguageId, Status};
use gavel_testkit::{ServiceProcess, TEST_TIMEOUT};

use crate::rig::Rig;

/// Takes id 71 from Python and adds an id that Judge0 does not have.
const SHELL: &str = r#"
[[language]]
ids = [71, 500]
name = "Shell"
toolchain = "/bin/sh"
version = ["/bin/echo", "0.5"]
source = "main.sh"
run = ["/bin/sh", "/box/program/main.sh"]
"#;

/// Starts a judge with this file, which must exit, and returns its log.
async fn log_of_rejection(rig: &Rig, text: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let judge = rig.builder().env("SANDBOX_LANGUAGES", file.path().to_str().unwrap()).start().unwrap();
    assert_eq!(judge.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(64));
    judge.log().iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_file_stops_the_judge_and_names_line_and_field() {
    let rig = Rig::start().await;
    let log = log_of_rejection(&rig, &SHELL.replace("source = \"main.sh\"", "source = \"a/b\"")).await;
    assert!(
        log.contains("SANDBOX_LANGUAGES: ") && log.contains("line 7, source: must be a file name"),
        "{log}"
    );
    let log = log_of_rejection(&rig, &SHELL.replace("[71, 500]", "71")).await;
    assert!(log.contains("line 3, ids: invalid type"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_file_replaces_and_adds_language_ids() {
    let rig = Rig::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SHELL).unwrap();
    let _judge =
        ServiceProcess::start(rig.builder().env("SANDBOX_LANGUAGES", file.path().to_str().unwrap())).await;
    for (id, language) in [("taken", 71), ("added", 500)] {
        let end = rig.watch(id).await;
        rig.ready_in(LanguageId(language), id, rig.question().await, "cat").await;
        let verdict = end.await.judged.verdict;
        assert_eq!(verdict.status, Status::Passed, "{:?}", verdict.first_failure);
        assert_eq!(verdict.toolchain.as_deref(), Some("Shell 0.5"));
    }
}

/// Perl and PHP take the mark for code and for output. The same program without it is already compiled.
#[tokio::test(flavor = "multi_thread")]
async fn byte_order_mark_before_a_source_is_dropped() {
    let rig = Rig::start().await;
    let _judge = ServiceProcess::start(rig.builder().env("LANGUAGE_WAIT_S", "0")).await;
    let c = "#include <stdio.h>\nint main(void) { int n; scanf(\"%d\", &n); printf(\"%d\", n); }";
    for (id, language, source) in
        [("perl", 85, "print <STDIN>;"), ("php", 68, "<?php echo fgets(STDIN);"), ("c", 50, c)]
    {
        let mut verdicts = Vec::new();
        for mark in ["", "\u{feff}"] {
            let id = format!("{id}-{}", mark.len());
            let end = rig.watch(&id).await;
            rig.ready_in(LanguageId(language), &id, rig.question().await, &format!("{mark}{source}")).await;
            verdicts.push(end.await.judged.verdict);
        }
        assert_eq!(verdicts[1].status, verdicts[0].status, "{id}: {:?}", verdicts[1].first_failure);
        assert_ne!(verdicts[1].status, Status::Failed, "{id}: {:?}", verdicts[1].first_failure);
    }
}

/// The learner sees no advice to the operator: that is in the log. An id that no language has does not wait.
#[tokio::test(flavor = "multi_thread")]
async fn unserved_language_leads_to_an_error_and_a_remedy_in_the_log() {
    let rig = Rig::start().await;
    let builder = rig.builder().env("LANGUAGE_VERSIONS", "at-least").env("LANGUAGE_WAIT_S", "1");
    let judge = ServiceProcess::start(builder).await;
    let rows = [
        (81, "Scala is not available on this judge.", "add it to the file that SANDBOX_LANGUAGES names"),
        (36, "Python 2 is not available on this judge.", "add it to the file that SANDBOX_LANGUAGES names"),
        (
            4711,
            "Language 4711 is not available on this judge.",
            "add it to the file that SANDBOX_LANGUAGES names",
        ),
        (113, "Python is not available on this judge.", "LANGUAGE_VERSIONS=at-least rejects older versions"),
    ];
    let mut ends = Vec::new();
    for (language, reason, remedy) in rows {
        let id = format!("none-{language}");
        let end = rig.watch(&id).await;
        rig.ready_in(LanguageId(language), &id, rig.question().await, "print(7)").await;
        ends.push((language, id, end, reason, remedy));
    }
    for (language, id, end, reason, remedy) in ends {
        let end = end.await;
        let has_waited = end.judged.assignment.is_some_and(|assignment| assignment.handed_on_by.is_some());
        assert_eq!(has_waited, language != 4711, "{language}");
        let message = end.judged.verdict.reason.unwrap();
        assert_eq!((end.judged.verdict.status, end.dead), (Status::Error, None), "{message}");
        assert_eq!(message, reason);
        let names_remedy = |line: &gavel_testkit::LogLine| {
            line.contains("cannot run the submission") && line.contains(&id) && line.contains(remedy)
        };
        judge.wait_log("the remedy", TEST_TIMEOUT, names_remedy).await.unwrap();
    }
}

/// The log lists each served language with its version, and the others with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn log_lists_served_and_unserved_languages() {
    let rig = Rig::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let missing = SHELL.replace("\"/bin/sh\"\n", "\"/opt/none/sh\"\n");
    let broken = SHELL
        .replace("[71, 500]", "[501]")
        .replace("\"/bin/echo\", \"0.5\"", "\"/bin/sh\", \"-c\", \"echo no; exit 3\"");
    let front_end = SHELL.replace("[71, 500]", "[502]")
        + "front_end = { source = \"CompileJava.java\", build = [\"/bin/sh\", \"-c\", \"echo no JDK; exit 1\"] }\n\
           compile = [\"/bin/true\"]\nartefact = \"main.sh\"\n";
    std::fs::write(file.path(), missing + &broken + &front_end).unwrap();
    let builder = rig.builder().env("SANDBOX_LANGUAGES", file.path().to_str().unwrap());
    let judge = ServiceProcess::start(builder.env("LOG_LEVEL", "debug").env("LANGUAGE_WAIT_S", "0")).await;
    let log = judge.log();
    let not_served = |id: &str| {
        log.iter().find(|line| line.contains("\"language not served\"") && line.contains(id)).unwrap()
    };
    assert!(not_served("[71, 500]").contains("its toolchain /opt/none/sh is missing"));
    assert!(not_served("[501]").contains("does not work in the sandbox: no (Exited(3))"));
    assert!(not_served("[502]").contains("cannot build the sandbox's compiler front end: no JDK"));
    assert!(log.iter().any(|line| line.contains("\"language served\"") && line.contains("C++ (GCC)")));
    let end = rig.watch("gone").await;
    rig.ready("gone", rig.question().await, "print(7)").await;
    let message = end.await.judged.verdict.reason.unwrap();
    assert_eq!(message, "Python is not available on this judge.");
}
