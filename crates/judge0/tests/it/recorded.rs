//! Replays every recorded exchange that the client can have with Judge0.

use std::collections::BTreeSet;
use std::time::Duration;

use gavel_domain::{Clock, Outcome};
use gavel_judge0::{BatchEntry, EntryResult, Judge0Error, Judge0Report, RunSettings, TestResult, interpret};
use serde_json::{Value, json};

use crate::replay::{all, client, response};
use crate::support::entry;

/// The call of the client that a recording belongs to. A recording of a single submission is replayed as the answer to
/// a poll of one token; the others are replayed as they are.
enum ClientCall {
    Get,
    Post(usize),
    GetBatch,
    Config,
}

fn client_call(exchange: &Value) -> ClientCall {
    let (method, path) =
        (exchange["request"]["method"].as_str().unwrap(), exchange["request"]["path"].as_str().unwrap());
    let submissions = &exchange["request"]["body"]["submissions"];
    match (method, path.split('?').next().unwrap()) {
        ("GET", "/config_info") => ClientCall::Config,
        ("GET", "/submissions/batch") => ClientCall::GetBatch,
        ("POST", "/submissions/batch") => ClientCall::Post(submissions.as_array().map_or(0, Vec::len)),
        ("POST", _) => ClientCall::Post(1),
        _ => ClientCall::Get,
    }
}

fn is_ok(exchange: &Value) -> bool {
    exchange["response"]["status_line"].as_str().unwrap().contains(" 20")
}

fn entries(count: usize) -> Vec<BatchEntry<'static>> {
    vec![entry(); count]
}

/// The report of an exchange with one submission, read by the client.
async fn report(exchange: &Value) -> Judge0Report {
    let body = &exchange["response"]["body"];
    let token = body["token"].as_str().unwrap_or("none");
    let client = client(response(exchange, Some(&json!({ "submissions": [body] })))).await;
    client.poll(&[token]).await.unwrap().pop().unwrap().unwrap()
}

fn settings(body: &Value) -> RunSettings {
    let seconds = |field: &str| {
        let seconds = body[field].as_str().map_or(5.0, |text| text.parse().unwrap());
        Duration::from_secs_f64(seconds)
    };
    RunSettings {
        cpu_time: seconds("cpu_time_limit"),
        wall_time: seconds("wall_time_limit"),
        memory_kb: body["memory_limit"].as_u64().unwrap_or(128_000),
        stack_kb: None,
        file_kb: body["max_file_size"].as_u64().unwrap_or(1_024),
    }
}

/// The expected outcome of each final report.
fn expected(name: &str) -> &'static str {
    match name {
        "compile_error_c" => "compile error",
        "exec_missing" => "missing",
        "exit_code_42_python" => "exit 42",
        "nzec_python" | "mle_python_per_process" | "invalid_utf8_source" => "exit 1",
        "cmd_args" => "exit 2",
        "mle_c_per_process" => "exit 3",
        "kill_pid1_ppid" | "sigsegv_c" | "stack_overflow_c" => "signal 11",
        "sigabrt_c" => "signal 6",
        "sigfpe_c" => "signal 8",
        "kill_self_python" => "signal 9",
        "mle_c_cgroup_touch" | "mle_c_small" | "mle_node_cgroup" | "mle_python_cgroup" => "memory",
        "tle_cpu_c" => "cpu",
        "tle_wall_python" => "wall",
        _ => "exit 0",
    }
}

fn shown(finished: &TestResult) -> String {
    let execution = match finished {
        TestResult::Ran(execution) => execution,
        TestResult::CompileError(_) => return "compile error".to_owned(),
        TestResult::Failed(_) => return "fault".to_owned(),
        TestResult::MaybeMissing { .. } => return "missing".to_owned(),
    };
    match execution.outcome {
        Outcome::Exited { code } => format!("exit {code}"),
        Outcome::Signaled { signal } => format!("signal {signal}"),
        Outcome::TimeLimit { clock: Clock::Cpu } => "cpu".to_owned(),
        Outcome::TimeLimit { clock: Clock::Wall } => "wall".to_owned(),
        Outcome::MemoryLimit => "memory".to_owned(),
        Outcome::OutputLimit { .. } => "output".to_owned(),
    }
}

#[tokio::test]
async fn recorded_reports_lead_to_the_same_outcomes_as_in_the_sandbox() {
    let mut covered = BTreeSet::new();
    for (name, exchange) in all() {
        // The client always asks for base64.
        let is_base64 = exchange["request"]["path"].as_str().unwrap().contains("base64_encoded=true");
        let body = &exchange["response"]["body"];
        let has_status = body["status"]["id"].as_u64().is_some_and(|status| status > 2);
        let has_end = has_status && body.get("exit_code").is_some();
        if !(matches!(client_call(&exchange), ClientCall::Get) && is_base64 && is_ok(&exchange) && has_end) {
            continue;
        }
        let report = report(&exchange).await;
        assert!(report.is_final() && !report.is_malformed, "{name}");
        assert_eq!(shown(&interpret(report, &settings(body))), expected(&name), "{name}");
        covered.insert(expected(&name));
    }
    let all = [
        "compile error",
        "cpu",
        "exit 0",
        "exit 1",
        "exit 42",
        "memory",
        "missing",
        "signal 11",
        "signal 9",
        "wall",
    ];
    assert!(all.iter().all(|outcome| covered.contains(outcome)), "{covered:?}");
}

#[tokio::test]
async fn unfinished_reports_are_not_final() {
    let all = all();
    for name in ["get_in_queue", "get_processing"] {
        assert!(!report(&all[name]).await.is_final(), "{name}");
    }
}

#[tokio::test]
async fn program_output_arrives_byte_for_byte() {
    let all = all();
    let ran = async |name: &str| match interpret(report(&all[name]).await, &settings(&Value::Null)) {
        TestResult::Ran(execution) => execution,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(ran("accepted_c").await.stdout, b"hello\n");
    assert_eq!(ran("invalid_utf8_b64true").await.stdout, b"\xff\xfe\x00ok\n");
    let python = ran("nzec_python").await;
    assert!(python.stderr.ends_with(b"ValueError: boom\n"));
    assert_eq!(
        (python.usage.cpu_time, python.usage.wall_time),
        (Duration::from_millis(14), Duration::from_millis(48))
    );
    assert_eq!(python.usage.memory_bytes, 3_496 * 1_024);
    // The shell's message about a signal is not part of the program's output.
    assert_eq!(ran("sigsegv_c").await.stderr, b"");
    assert_eq!(ran("sigfpe_c").await.stderr, b"");
    let TestResult::CompileError(output) =
        interpret(report(&all["compile_error_c"]).await, &settings(&Value::Null))
    else {
        panic!("it does not compile");
    };
    assert!(String::from_utf8(output).unwrap().contains("‘x’ undeclared"), "wrapped base64 of UTF-8");
}

#[tokio::test]
async fn batch_answers_keep_their_order() {
    let all = all();
    let posted = async |name: &str, count: usize| {
        client(response(&all[name], None)).await.submit(&entries(count)).await.unwrap()
    };
    let token = |text: &str| EntryResult::Token(text.to_owned());
    let rejected = |text: &str| EntryResult::Rejected(text.to_owned());
    assert_eq!(
        posted("batch_post", 2).await,
        [token("ad0ed66f-d4fa-413c-b4a3-d104fced23fe"), token("b1008f70-eaad-455a-b319-2c76ae7ea4e9")]
    );
    assert_eq!(
        posted("batch_post_partly_invalid", 4).await,
        [
            token("02c2b308-55ae-4f0b-96b1-1ded26b1687e"),
            rejected("language_id language with id 123456 doesn't exist"),
            rejected("source_code can't be blank"),
            rejected("language_id can't be blank, language with id  doesn't exist"),
        ]
    );
    let unknown = [rejected("language_id language with id 123456 doesn't exist")];
    assert_eq!(posted("batch_post_all_invalid", 1).await, unknown);
    let allowed = posted("maintenance_batch_still_allowed", 1).await;
    assert!(matches!(&allowed[..], [EntryResult::Token(_)]));
    for (name, statuses) in [("batch_get", [Some(3), Some(3)]), ("batch_get_fields", [Some(3), Some(3)])] {
        let tokens =
            ["ad0ed66f-d4fa-413c-b4a3-d104fced23fe", "b1008f70-eaad-455a-b319-2c76ae7ea4e9", "not-a-token"];
        let count = if name == "batch_get" { 3 } else { 2 };
        let reports = client(response(&all[name], None)).await.poll(&tokens[..count]).await.unwrap();
        let found: Vec<_> =
            reports.iter().map(|it| it.as_ref().map(|it| (it.status, it.is_malformed))).collect();
        assert_eq!(found[..2], statuses.map(|status| Some((status, false))), "{name}");
        assert!(found[2..].iter().all(Option::is_none), "an unknown token has no report");
    }
}

/// Each error response leads to the [`Judge0Error`] that tells the caller what to do.
#[tokio::test]
async fn error_responses_map_to_call_errors() {
    let mut kinds = BTreeSet::new();
    for (name, exchange) in all() {
        if is_ok(&exchange) {
            continue;
        }
        let client = client(response(&exchange, None)).await;
        let error = match client_call(&exchange) {
            ClientCall::Post(count) => match client.submit(&entries(count.max(1))).await {
                Err(error) => error,
                Ok(posted) => {
                    assert!(matches!(&posted[..], [EntryResult::Rejected(_)]), "{name}");
                    continue;
                }
            },
            ClientCall::GetBatch | ClientCall::Get => client.poll(&["x"]).await.unwrap_err(),
            ClientCall::Config => client.limits().await.unwrap_err(),
        };
        let status = exchange["response"]["status_line"].as_str().unwrap()[9..12].parse::<u16>().unwrap();
        let has_json = !exchange["response"]["body"].is_null();
        let kind = match &error {
            Judge0Error::Busy { status: 503, text: Some(text), .. } => {
                assert!(text == "queue is full" || text.contains("maintenance"), "{name}: {text}");
                "busy"
            }
            Judge0Error::Denied { status: 401 | 403 } => "denied",
            Judge0Error::Rejected { status: 400 | 422, text } => {
                assert!(has_json && !text.is_empty(), "{name}");
                "refused"
            }
            // Without JSON the answer may be a proxy's.
            Judge0Error::Failed { status: failed } => {
                assert!(*failed == 404 || !has_json, "{name}: {error:?}");
                "failed"
            }
            other => panic!("{name}: {other:?}"),
        };
        let expected = match status {
            503 => "busy",
            401 | 403 => "denied",
            400 | 422 if has_json => "refused",
            _ => "failed",
        };
        assert_eq!(kind, expected, "{name}");
        assert_eq!(error.is_outage(), matches!(kind, "denied" | "failed"), "{name}");
        kinds.insert(kind);
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["busy", "denied", "failed", "refused"]);
}

#[tokio::test]
async fn config_info_gives_the_limits() {
    let limits = client(response(&all()["config_info"], None)).await.limits().await.unwrap();
    assert_eq!(
        (limits.max_cpu_time, limits.max_wall_time),
        (Some(Duration::from_secs(15)), Some(Duration::from_secs(20)))
    );
    assert_eq!((limits.max_memory_kb, limits.max_stack_kb), (Some(512_000), Some(128_000)));
    assert_eq!((limits.max_file_kb, limits.max_batch), (Some(4_096), 20));
    assert!(!limits.allows_delete);
}
