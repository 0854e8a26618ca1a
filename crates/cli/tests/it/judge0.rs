//! The whole pipeline with mock Judge0: the same verdicts as from the sandbox, and what happens to submissions while
//! Judge0 is unreachable.

use std::sync::Arc;

use gavel_mock_convex::{Question, SubmissionKind};
use gavel_testkit::judge0::{Program, Route, Settings, TestFault, accepted, recording};
use gavel_testkit::{MockJudge0, Process, TEST_TIMEOUT};
use serde_json::{Value, json};

use crate::pipeline::Pipeline;

/// Recorded programs whose verdicts must be identical.
const IDENTICAL: [&str; 13] = [
    "accepted_c",
    "accepted_cpp",
    "accepted_node",
    "accepted_python",
    "invalid_utf8_b64true",
    "kill_self_python",
    "mle_c_cgroup_touch",
    "mle_c_small",
    "mle_node_cgroup",
    "mle_python_cgroup",
    "sigabrt_c",
    "sigfpe_c",
    "sigsegv_c",
];
/// Recorded programs whose verdicts contain text of a compiler, an interpreter or a shell, or a time limit.
const SIMILAR: [&str; 5] =
    ["compile_error_c", "exit_code_42_python", "nzec_python", "tle_cpu_c", "tle_wall_python"];

fn text(encoded: &Value) -> String {
    use base64::Engine as _;
    let packed: String = encoded.as_str().unwrap_or_default().split_ascii_whitespace().collect();
    String::from_utf8(base64::prelude::BASE64_STANDARD.decode(packed).unwrap()).unwrap()
}

/// A recorded program's question with the limits of the recording. All are expected to print `hello`.
fn question(name: &str) -> Question {
    let report = &recording(name)["response"]["body"];
    let seconds = |field: &str| report[field].as_str().unwrap().parse::<f64>().unwrap();
    let kb: f64 = report["memory_limit"].as_f64().unwrap();
    Question::build(SubmissionKind::Standard, name.replace('_', "").as_str())
        .time_limit_seconds(seconds("cpu_time_limit").min(seconds("wall_time_limit") / 2.0))
        .memory_limit_mb(kb / 1024.0)
        .public(&text(&report["stdin"]), "hello\n")
        .done()
}

async fn submit(pipeline: &Pipeline, name: &str) {
    let report = &recording(name)["response"]["body"];
    let language = u32::try_from(report["language_id"].as_u64().unwrap()).unwrap();
    let id = name.replace('_', "");
    pipeline.submit(&id, &id, language, &text(&report["source_code"])).await;
}

async fn with_judge0(
    settings: Settings,
    questions: Vec<Question>,
    variables: &[(&str, &str)],
) -> (MockJudge0, Pipeline) {
    let mock = MockJudge0::start(settings).await;
    let url = mock.url();
    let mut all = vec![("ENGINE", "judge0"), ("JUDGE0_BASE_URL", url.as_str())];
    all.extend(variables);
    let pipeline = Pipeline::start_with(questions, &all).await;
    (mock, pipeline)
}

/// Compares a real Judge0's recorded answers with the sandbox, for all programs that Judge0 can express.
#[tokio::test(flavor = "multi_thread")]
async fn both_engines_give_recorded_programs_the_same_verdict() {
    let names: Vec<&str> = IDENTICAL.into_iter().chain(SIMILAR).collect();
    let questions = || names.iter().map(|name| question(name)).collect::<Vec<_>>();
    let (_mock, judge0) = with_judge0(Settings::default(), questions(), &[]).await;
    let sandbox = Pipeline::start(questions()).await;
    for name in &names {
        submit(&judge0, name).await;
        submit(&sandbox, name).await;
    }
    for name in names {
        let id = name.replace('_', "");
        let (expected, actual) = (sandbox.result(&id).await, judge0.result(&id).await);
        if IDENTICAL.contains(&name) {
            assert_eq!(actual, expected, "{name}");
        }
        for field in ["status", "passedCount", "totalCount", "firstFailureIndex"] {
            assert_eq!(actual[field], expected[field], "{name}: {field} of {actual} and {expected}");
        }
        for field in ["stderr", "compileOutput"] {
            assert_eq!(actual[field].is_null(), expected[field].is_null(), "{name}: {actual} and {expected}");
        }
    }
    assert!(judge0.convex.running_after_result().is_empty());
}

fn echo(tests: usize) -> Question {
    let numbers: Vec<String> = (0..tests).map(|n| n.to_string()).collect();
    numbers.iter().fold(Question::build(SubmissionKind::Standard, "echo"), |q, n| q.hidden(n, n)).done()
}

async fn passes(pipeline: &Pipeline, id: &str, tests: usize) {
    let passed = json!({ "status": "passed", "passedCount": tests, "totalCount": tests });
    assert_eq!(pipeline.result(id).await, passed, "{id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn judge0_judges_many_tests_without_sandbox_privileges() {
    let (mock, pipeline) = with_judge0(Settings::default(), vec![echo(20)], &[]).await;
    for id in ["a", "b", "c"] {
        pipeline.submit(id, "echo", 83, "echo").await;
    }
    for id in ["a", "b", "c"] {
        passes(&pipeline, id, 20).await;
    }
    assert_eq!(mock.programs().len(), 60);
    assert!(!pipeline.judge.log().iter().any(|entry| entry.contains("sandbox")), "it is not even started");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_of_judge0_is_an_error_with_its_cause_in_the_log() {
    let much = Question::build(SubmissionKind::Standard, "much")
        .time_limit_seconds(16.0)
        .hidden("secretin", "secretout")
        .done();
    let (mock, pipeline) = with_judge0(Settings::default(), vec![echo(1), much], &[]).await;
    pipeline.submit("much", "much", 71, "echo").await;
    let result = pipeline.result("much").await;
    let reason = "The question's limits are not supported by this judge.";
    assert_eq!(result["firstFailure"], json!({ "errorMessage": reason }));
    let cause = "the question asks for 16 s of CPU time and Judge0 allows at most 15 s";
    pipeline.judge.wait_log(cause, TEST_TIMEOUT, |line| line.contains(cause)).await.unwrap();
    assert!(mock.programs().is_empty());
    assert!(
        !pipeline.judge.log().iter().any(|entry| entry.contains("secretin") || entry.contains("secretout"))
    );
}

async fn readiness(judge: &Process) -> (u16, String) {
    let line =
        judge.wait_log("its address", TEST_TIMEOUT, |line| line.contains("\"listening\"")).await.unwrap();
    let url = format!("http://{}/readyz", line.field("/address").unwrap().as_str().unwrap());
    let answer = gavel_http::client().build().unwrap().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// However often a submission is returned to the queue while Judge0 is dead, it is not lost and costs no delivery.
#[tokio::test(flavor = "multi_thread")]
async fn dead_judge0_pauses_judging_and_fails_readyz() {
    let (mock, pipeline) =
        with_judge0(Settings::default(), vec![echo(3)], &[("JUDGE_MAX_DELIVERIES", "1")]).await;
    pipeline.submit("before", "echo", 71, "echo").await;
    passes(&pipeline, "before", 3).await;
    let address = mock.address();
    mock.stop().await;
    for id in ["a", "b", "c", "d"] {
        pipeline.submit(id, "echo", 71, "echo").await;
    }
    let said = |line: &gavel_testkit::LogLine| line.contains("Judge0 is unreachable");
    pipeline.judge.wait_log("the breaker", TEST_TIMEOUT, said).await.unwrap();
    let (status, problem) = readiness(&pipeline.judge).await;
    assert!(
        status == 503 && problem.contains("Judge0 is unreachable: cannot connect to Judge0"),
        "{problem}"
    );
    assert_eq!(pipeline.convex.final_count(), 1);
    let mock = MockJudge0::start_at(address, Settings::default()).await;
    for id in ["a", "b", "c", "d"] {
        passes(&pipeline, id, 3).await;
    }
    assert_eq!(readiness(&pipeline.judge).await.0, 200);
    assert!(mock.request_count(Route::PostBatch) >= 4);
}

/// While the sandbox of Judge0 is broken, submissions wait. A program that breaks it alone ends with an error.
#[tokio::test(flavor = "multi_thread")]
async fn wave_of_internal_errors_delays_submissions_and_fails_readyz() {
    let script = |program: &Program| {
        if program.source == "cursed" { json!({ "status_id": 13 }) } else { accepted(&program.stdin) }
    };
    let settings = Settings { script: Arc::new(script), ..Settings::default() };
    let (mock, pipeline) = with_judge0(settings, vec![echo(3)], &[("JUDGE_MAX_DELIVERIES", "1")]).await;
    mock.test_fault(None, TestFault::Internal);
    for id in ["a", "b", "c", "d"] {
        pipeline.submit(id, "echo", 71, "echo").await;
    }
    let said = |line: &gavel_testkit::LogLine| line.contains("Judge0 answers but runs no programs");
    pipeline.judge.wait_log("the breaker", TEST_TIMEOUT, said).await.unwrap();
    let (status, problem) = readiness(&pipeline.judge).await;
    assert!(status == 503 && problem.contains("internal error (status 13)"), "{problem}");
    assert_eq!(pipeline.convex.final_count(), 0);
    mock.clear_faults();
    for id in ["a", "b", "c", "d"] {
        passes(&pipeline, id, 3).await;
    }
    pipeline.submit("cursed", "echo", 71, "cursed").await;
    let result = pipeline.result("cursed").await;
    assert_eq!(result["status"], "error", "{result}");
    assert_eq!(readiness(&pipeline.judge).await.0, 200);
}

/// Both engines grant the runtime of a language its memory on top of the question's limit.
#[tokio::test(flavor = "multi_thread")]
async fn runtime_memory_is_granted_as_in_the_sandbox() {
    let (mock, pipeline) = with_judge0(Settings::default(), vec![echo(1)], &[]).await;
    for (id, language) in [("java", 62), ("node", 63), ("c", 50)] {
        pipeline.submit(id, "echo", language, id).await;
        passes(&pipeline, id, 1).await;
    }
    let granted = |id: &str| {
        let programs = mock.programs();
        programs.iter().find(|program| program.source == id).unwrap().entry["memory_limit"].as_u64().unwrap()
    };
    assert_eq!(granted("java") - granted("c"), 160 * 1024);
    assert_eq!(granted("node") - granted("c"), 64 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_judge0_key_is_reported_and_costs_no_submission() {
    let keys = vec!["right".to_owned()];
    let variables = [("JUDGE0_API_KEY", "wrongkey"), ("JUDGE_MAX_DELIVERIES", "1")];
    let (mock, pipeline) =
        with_judge0(Settings { keys, ..Settings::default() }, vec![echo(3)], &variables).await;
    pipeline.submit("a", "echo", 71, "echo").await;
    let said = |line: &gavel_testkit::LogLine| line.contains("Judge0 rejected the API key");
    pipeline.judge.wait_log("the refusal", TEST_TIMEOUT, said).await.unwrap();
    let (status, problem) = readiness(&pipeline.judge).await;
    assert!(status == 503 && problem.contains("JUDGE0_API_KEY"), "{problem}");
    gavel_testkit::wait_until("a problem with Judge0 only", TEST_TIMEOUT, async || {
        let (status, problem) = readiness(&pipeline.judge).await;
        assert!(status == 503 && problem.contains("JUDGE0_API_KEY"), "{problem}");
        !problem.contains("NATS")
    })
    .await
    .unwrap();
    assert!(!pipeline.judge.log().iter().any(|entry| entry.contains("wrongkey")));
    mock.set_keys(&["wrongkey"]);
    passes(&pipeline, "a", 3).await;
}

/// Moving to another engine one language at a time.
#[tokio::test(flavor = "multi_thread")]
async fn auto_engine_prefers_sandbox_and_rules_override_it() {
    let mock = MockJudge0::start(Settings::default()).await;
    let url = mock.url();
    let variables = [("ENGINE", "auto"), ("JUDGE0_BASE_URL", url.as_str()), ("ENGINE_ROUTES", "50=judge0")];
    let pipeline = Pipeline::start_with(vec![echo(2)], &variables).await;
    pipeline.submit("python", "echo", 71, "print(input())").await;
    pipeline.submit("assembly", "echo", 45, "echo 45").await;
    pipeline.submit("c", "echo", 50, "echo 50").await;
    for id in ["python", "assembly", "c"] {
        passes(&pipeline, id, 2).await;
    }
    let sources: std::collections::BTreeSet<_> = mock.programs().into_iter().map(|it| it.source).collect();
    assert_eq!(sources.into_iter().collect::<Vec<_>>(), ["echo 45", "echo 50"]);
}
