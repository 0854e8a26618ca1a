//! The table of languages: what an operator may change, and what a submitter is told.

use gavel_domain::{LanguageId, Status};
use gavel_testkit::{ServiceProcess, TEST_TIMEOUT};

use crate::rig::Rig;

/// Takes 71 from Python, and adds an id that Judge0 does not have.
const SHELL: &str = r#"
[[language]]
ids = [71, 500]
name = "Shell"
toolchain = "/bin/sh"
version = ["/bin/echo", "0.5"]
source = "main.sh"
run = ["/bin/sh", "/box/program/main.sh"]
"#;

/// Starts a judge with this file, which must refuse to begin; what it said.
async fn refused(rig: &Rig, text: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let judge = rig.builder().env("SANDBOX_LANGUAGES", file.path().to_str().unwrap()).start().unwrap();
    assert_eq!(judge.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(64));
    judge.log().iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_mistake_stops_the_judge_and_names_line_and_field() {
    let rig = Rig::start().await;
    let said = refused(&rig, &SHELL.replace("source = \"main.sh\"", "source = \"a/b\"")).await;
    assert!(
        said.contains("SANDBOX_LANGUAGES: ") && said.contains("line 7, source: must be a file name"),
        "{said}"
    );
    let said = refused(&rig, &SHELL.replace("[71, 500]", "71")).await;
    assert!(said.contains("line 3, ids: invalid type"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_file_takes_ids_and_adds_some() {
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

/// The verdict comes without a retry. The learner sees no advice to the operator: that is in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_language_that_is_not_served_ends_in_an_error_that_says_how_to_add_it() {
    let rig = Rig::start().await;
    let judge = ServiceProcess::start(rig.builder().env("LANGUAGE_VERSIONS", "at-least")).await;
    let rows = [
        (83, "Swift is not available on this judge.", "add it to the file that SANDBOX_LANGUAGES names"),
        (70, "Python 2 is not available on this judge.", "add it to the file that SANDBOX_LANGUAGES names"),
        (
            4711,
            "Language 4711 is not available on this judge.",
            "add it to the file that SANDBOX_LANGUAGES names",
        ),
        (113, "Python is not available on this judge.", "LANGUAGE_VERSIONS=at-least rejects older versions"),
    ];
    for (language, reason, remedy) in rows {
        let id = format!("none-{language}");
        let end = rig.watch(&id).await;
        rig.ready_in(LanguageId(language), &id, rig.question().await, "print(7)").await;
        let end = end.await;
        let said = end.judged.verdict.stderr.unwrap();
        assert_eq!((end.judged.verdict.status, end.dead), (Status::Error, None), "{said}");
        assert_eq!(said, reason);
        let names_remedy = |line: &gavel_testkit::LogLine| {
            line.contains("cannot run the submission") && line.contains(&id) && line.contains(remedy)
        };
        assert!(judge.log().iter().any(names_remedy), "{:?}", judge.log());
    }
}

/// What is there is logged with its version, and what is not with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_what_is_served_and_what_is_not() {
    let rig = Rig::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let missing = SHELL.replace("\"/bin/sh\"\n", "\"/opt/none/sh\"\n");
    let broken = SHELL
        .replace("[71, 500]", "[501]")
        .replace("\"/bin/echo\", \"0.5\"", "\"/bin/sh\", \"-c\", \"echo no; exit 3\"");
    std::fs::write(file.path(), missing + &broken).unwrap();
    let builder = rig.builder().env("SANDBOX_LANGUAGES", file.path().to_str().unwrap());
    let judge = ServiceProcess::start(builder.env("LOG_LEVEL", "debug")).await;
    let log = judge.log();
    let told = |id: &str| {
        log.iter().find(|line| line.contains("\"language not served\"") && line.contains(id)).unwrap()
    };
    assert!(told("[71, 500]").contains("its toolchain /opt/none/sh is missing"));
    assert!(told("[501]").contains("does not work in the sandbox: no (Exited(3))"));
    assert!(log.iter().any(|line| line.contains("\"language served\"") && line.contains("C++ (GCC)")));
    let end = rig.watch("gone").await;
    rig.ready("gone", rig.question().await, "print(7)").await;
    let said = end.await.judged.verdict.stderr.unwrap();
    assert_eq!(said, "Python is not available on this judge.");
}
