//! A submission in a language that its first judge lacks, as people see it.

use gavel_mock_convex::{Question, SubmissionKind};
use serde_json::Value;

use crate::events::{expect, printed};
use crate::pipeline::{Pipeline, service_with};

const SHELL: &str = r#"
[[language]]
ids = [81]
name = "Shell"
toolchain = "/bin/sh"
version = ["/bin/echo", "0.5"]
source = "main.sh"
run = ["/bin/sh", "/box/program/main.sh"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn submission_that_waits_for_its_language_is_shown_until_it_is_judged() {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let variables = |role: &str| vec![("INSTANCE".to_owned(), format!("{role}-1"))];
    let pipeline = Pipeline::start_each(vec![question], variables).await;
    let nats = &pipeline.nats;
    pipeline.submit("a", "q", 81, "cat").await;
    let language = "waiting for a judge that serves Scala (81)";
    expect(nats, &["trace", "a"], &["handed on by judge-1", language, "no running judge serves it"]).await;
    let unserved = ["waiting for Scala (81): 1, the oldest for ", "no running judge serves it"];
    expect(nats, &["status"], &unserved).await;
    let status: Value = serde_json::from_str(&printed(nats, &["status", "--json"]).await).unwrap();
    let waiting = &status["waitingLanguages"][0];
    assert_eq!((&waiting["language"], &waiting["submissions"]), (&81.into(), &1.into()), "{status}");
    assert_eq!((&waiting["name"], &waiting["servedBy"]), (&"Scala (81)".into(), &Value::Array(Vec::new())));
    let doctor = ["1 waiting for Scala (81), which no running judge serves"];
    expect(nats, &["doctor", "--no-judge"], &doctor).await;
    let tap = printed(nats, &["tap", "--all", "--no-follow"]).await;
    assert!(
        tap.lines().any(|line| line.contains("waiting") && line.contains("handed on by judge-1")),
        "{tap}"
    );
    assert!(pipeline.convex.distinct_results("a").is_empty());

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SHELL).unwrap();
    let languages = [("SANDBOX_LANGUAGES", file.path().to_str().unwrap()), ("INSTANCE", "judge-2")];
    let _second = service_with("gavel-judge", &pipeline.nats, &pipeline.convex, &languages);
    assert_eq!(pipeline.result("a").await["status"], "passed");
    expect(nats, &["trace", "a"], &["handed on by judge-1", language, "by judge-2", "Ended "]).await;
    let status: Value = serde_json::from_str(&printed(nats, &["status", "--json"]).await).unwrap();
    assert_eq!(status["waitingLanguages"], Value::Null);
}
