//! No secret appears in any output, and input from outside is never more than a value in a log line: a whole pipeline
//! with every secret set and hostile input.

use gavel_domain::text::is_unprintable;
use gavel_mock_convex::{Endpoint, HttpFault, Matcher, Question, SubmissionKind};
use gavel_testkit::process::built_binary;
use gavel_testkit::{LogLine, NatsServer, Process, TEST_TIMEOUT};
use serde_json::{Value, json};

use crate::pipeline::{Pipeline, submission};

const KEY: &str = "secret-of-the-ingress";
const OTHER_KEY: &str = "secret-of-another";
const PASSWORD: &str = "secret-of-nats";
const TOKEN: &str = "secret-of-convex";
const SIGNING: &str = "whsec_c2VjcmV0LW9mLXNpZ25pbmctLS0tLS0t";
const JUDGE0: &str = "secret-of-judge0";
/// The key that an unauthorized caller sends.
const WRONG: &str = "secret-that-is-wrong";
/// Each contains a word that appears in no other text.
const SECRETS: [&str; 7] = [KEY, OTHER_KEY, PASSWORD, TOKEN, SIGNING, JUDGE0, WRONG];
/// Marks in programs, in their output, in compiler output and in hidden tests.
const TEXTS: [&str; 4] = ["text-of-source", "text-of-output", "text-of-compiler", "text-of-hidden"];

fn variables(format: &str, level: &str) -> Vec<(String, String)> {
    [
        ("INGRESS_KEYS", format!("{KEY},{OTHER_KEY}")),
        ("NATS_USER", "gavel".to_owned()),
        ("NATS_PASSWORD", PASSWORD.to_owned()),
        ("CONVEX_TOKEN", TOKEN.to_owned()),
        ("CONVEX_SIGNING_SECRETS", SIGNING.to_owned()),
        ("JUDGE0_API_KEY", JUDGE0.to_owned()),
        ("JUDGE0_HEADERS", format!("X-SubmissionKey={JUDGE0}")),
        ("LOG_FORMAT", format.to_owned()),
        ("LOG_LEVEL", level.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn questions() -> Vec<Question> {
    vec![
        Question::build(SubmissionKind::Standard, "echo")
            .public("", "x\n")
            .hidden("text-of-hidden\n", "text-of-hidden\n")
            .done(),
    ]
}

/// Programs and ids that try to forge log lines.
async fn feed(pipeline: &Pipeline) {
    let python = "import sys\nfor out in (sys.stdout, sys.stderr):\n    \
         out.write('text-of-output \\x1b[31m\\r\\n{\"level\":\"ERROR\",\"message\":\"forged\"}\\n2026-01-01T00:00:00Z ERROR forged\\n')\n\
         # text-of-source";
    let c = "#error text-of-compiler \u{1b}[2J {\"message\":\"forged\"}\nint main(void) { return 0; }";
    let post = async |id: &str, language: u32, source: &str, key: &str| {
        let request = pipeline.http.post(&pipeline.url).json(&submission(id, "echo", language, source));
        let request = request.header("x-request-id", "r1\t{\"message\":\"forged\"}").bearer_auth(key);
        request.header("traceparent", "00-\"forged\"").send().await.unwrap().status().as_u16()
    };
    assert_eq!(post("writes", 71, python, KEY).await, 202);
    assert_eq!(post("\"},\"message\":\"forged\",{\"", 50, c, OTHER_KEY).await, 202);
    assert_eq!(post("forged\nid", 71, python, KEY).await, 400);
    assert_eq!(post("forged\u{1b}[31m", 71, python, KEY).await, 400);
    assert_eq!(post("forged\u{2028}id", 71, python, KEY).await, 400);
    assert_eq!(post("wrong", 71, python, WRONG).await, 401);
    let hidden =
        "t = input() if False else open(0).read()\nprint(t or 'x', end='' if t else '\\n')\n# text-of-source";
    assert_eq!(post("hidden", 71, hidden, KEY).await, 202);
    for id in ["writes", "hidden"] {
        pipeline.convex.wait_final(id, TEST_TIMEOUT).await.unwrap();
    }
    // Convex does not know this id, but the submission is judged.
    let refused = |line: &LogLine| line.contains("event failed: retrying") && line.contains("forged");
    pipeline.reporter.wait_log("the refusal of an id", TEST_TIMEOUT, refused).await.unwrap();
}

fn services(pipeline: &Pipeline) -> [&Process; 4] {
    [&pipeline.ingress, &pipeline.fetcher, &pipeline.judge, &pipeline.reporter]
}

fn assert_clean(what: &str, text: &str) {
    for word in SECRETS.iter().chain(&TEXTS) {
        assert!(!text.contains(word), "{what} shows {word}: {text}");
    }
}

async fn start(format: &str, level: &str) -> Pipeline {
    let config = format!("authorization {{ user: gavel, password: {PASSWORD} }}");
    let nats = NatsServer::builder().config(&config).start().await;
    Pipeline::start_on(nats, questions(), |_| variables(format, level)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn json_logs_contain_no_secret_and_no_forged_line() {
    let pipeline = start("json", "trace").await;
    // Convex rejects the result and echoes what it received.
    let refusal =
        HttpFault::Status { code: 401, retry_after: None, body: format!("{TOKEN} text-of-output\nforged") };
    pipeline.convex.fault(Matcher::of(Endpoint::RESULT).id("refused"), refusal);
    feed(&pipeline).await;
    let body = submission("refused", "echo", 71, "print('x') # text-of-source");
    assert_eq!(
        pipeline.http.post(&pipeline.url).json(&body).bearer_auth(KEY).send().await.unwrap().status(),
        202
    );
    let given_up = |line: &LogLine| line.contains("event failed permanently");
    pipeline.reporter.wait_log("the dead letter", TEST_TIMEOUT, given_up).await.unwrap();

    for process in services(&pipeline) {
        let arguments = std::fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap();
        assert_clean("the arguments", &String::from_utf8_lossy(&arguments));
        let mut address = None;
        for line in process.log() {
            assert_clean("the log", &line.text);
            let json = line.json().unwrap_or_else(|| panic!("not one JSON object a line: {}", line.text));
            assert_ne!(json["message"], json!("forged"));
            address = address.or_else(|| line.field("/address"));
        }
        let address = address.as_ref().and_then(Value::as_str).unwrap();
        for path in ["/healthz", "/readyz", "/metrics"] {
            let answer = pipeline.http.get(format!("http://{address}{path}")).send().await.unwrap();
            assert_clean(path, &answer.text().await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn human_logs_contain_no_secret_and_no_forged_line() {
    let pipeline = start("human", "debug").await;
    feed(&pipeline).await;
    for process in services(&pipeline) {
        for line in process.log() {
            assert_clean("the log", &line.text);
            assert!(!line.text.contains(char::is_control), "{:?}", line.text);
            // The line starts with a time that is not from the input.
            assert!(line.text.starts_with("20") && !line.text.starts_with("2026-01-01"), "{:?}", line.text);
        }
    }
}

/// A client that may publish on a subject can put characters into it that no submission id may contain.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_subject_forges_no_log_line() {
    for format in ["json", "human"] {
        let variables = [("LOG_FORMAT", format), ("LOG_LEVEL", "debug")];
        let pipeline = Pipeline::start_with(questions(), &variables).await;
        let raw = async_nats::connect(pipeline.nats.url()).await.unwrap();
        for name in ["\u{1b}[31mforged", "\u{9b}31mforged", "a\u{8}\u{7f}forged", "a\u{202e}b\u{200b}forged"]
        {
            raw.publish(format!("submission.queued.{name}"), "no event".into()).await.unwrap();
        }
        raw.flush().await.unwrap();
        let mut seen = 0;
        let last = |line: &LogLine| {
            seen += usize::from(line.contains("event failed permanently"));
            seen == 4
        };
        pipeline.fetcher.wait_log("four dead letters", TEST_TIMEOUT, last).await.unwrap();
        for line in pipeline.fetcher.log() {
            assert!(!line.text.contains(is_unprintable), "{format}: {:?}", line.text);
            assert!(format == "human" || line.json().is_some(), "{}", line.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_configuration_errors_contain_no_secret() {
    let mut runs = Vec::new();
    for name in ["gavel-ingress", "gavel-fetcher", "gavel-judge", "gavel-reporter"] {
        let program = || Process::builder(built_binary(name).unwrap()).envs(variables("json", "info"));
        runs.push(program().arg("--help"));
        // Every setting is wrong at the same time.
        let wrong = program()
            .env("NATS_URL", format!("nats://gavel:{PASSWORD}@h:x"))
            .env("NATS_USER", "")
            .env("CONVEX_SITE_URL", format!("https://gavel:{TOKEN}@convex.site"))
            .env("CONVEX_SIGNING_SECRETS", format!("whsec_{TOKEN}"))
            .env("JUDGE0_HEADERS", JUDGE0)
            .env("PORT", "many");
        runs.push(wrong);
    }
    for arguments in [
        &["up", "--settings"][..],
        &["up", "--help"],
        &["submit", "--help"],
        &["dead", "--help"],
        &["streams", "--help"],
    ] {
        let program = Process::builder(env!("CARGO_BIN_EXE_gavel")).envs(variables("json", "info"));
        runs.push(
            program.env("INGRESS_KEY", KEY).env("NATS_URL", format!("nats://u:{PASSWORD}@h")).args(arguments),
        );
    }
    for run in runs {
        let process = run.start().unwrap();
        let status = process.wait_exit(TEST_TIMEOUT).await.unwrap();
        assert!(matches!(status.code(), Some(0 | 64)), "{status}");
        assert!(!process.log().is_empty());
        for line in process.log() {
            assert_clean("it", &line.text);
        }
    }
}
