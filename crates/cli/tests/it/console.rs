//! `gavel console` as a program, on a pipeline whose NATS has a user for each role.

use gavel_mock_convex::{HttpFault, Matcher, Question, SubmissionKind};
use gavel_testkit::{NatsServer, Process, TEST_TIMEOUT, wait_until};
use serde_json::{Value, json};

use crate::pipeline::Pipeline;
use crate::up::{SUM, Up};

const KEY: &str = "the key of this console";

/// A program that reads a hidden test and does not end by itself.
const ENDLESS: &str = "import time\nsecret_name = input()\nwhile True: time.sleep(0.01)";

/// A running `gavel console`.
struct Console {
    process: Process,
    base: String,
    http: reqwest::Client,
}

impl Console {
    /// Starts it with the key of role `ops`.
    async fn start(nats: &NatsServer) -> Self {
        let process = Process::builder(env!("CARGO_BIN_EXE_gavel"))
            .args(["console", "--listen", "127.0.0.1:0"])
            .envs(nats.login("ops"))
            .env("CONSOLE_KEY", KEY)
            .start()
            .unwrap();
        let is_ready = |line: &gavel_testkit::LogLine| line.contains("\"listening\"");
        let line = process.wait_log("its address", TEST_TIMEOUT, is_ready).await.unwrap().json().unwrap();
        let base = format!("http://{}", line["address"].as_str().unwrap());
        Self { process, base, http: gavel_http::client().build().unwrap() }
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.base);
        self.http.get(url).bearer_auth(KEY).send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.base);
        self.http.post(url).bearer_auth(KEY).json(body).send().await.unwrap().json().await.unwrap()
    }

    /// Waits until an answer is as wanted, and returns it.
    async fn until(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait_until("the answer", TEST_TIMEOUT, async || {
            last = self.get(path).await;
            is_wanted(&last)
        })
        .await
        .unwrap_or_else(|_| panic!("{path}: {last}"));
        last
    }
}

fn questions() -> Vec<Question> {
    let hidden = Question::build(SubmissionKind::Standard, "hidden").time_limit_seconds(5.0);
    vec![hidden.public("1 2", "3").hidden("hidden-input 1", "hidden-output").done()]
}

fn problem<'a>(overview: &'a Value, name: &str) -> Option<&'a Value> {
    overview["problems"].as_array()?.iter().find(|problem| problem["name"] == name)
}

/// Also shows that the role of the operators has all permissions that the console needs.
#[tokio::test(flavor = "multi_thread")]
async fn console_shows_a_submission_without_hidden_data_and_judges_it_again() {
    let pipeline = Pipeline::start(questions()).await;
    let console = Console::start(&pipeline.nats).await;
    pipeline.submit("a", "hidden", 71, "secret_name = input()\nprint(3)").await;
    assert_eq!(pipeline.result("a").await["status"], "failed");
    let shown = console.until("/api/submissions/a", |shown| shown["generations"][0]["ended"] == true).await;
    let generation = &shown["generations"][0];
    let tests =
        generation["events"].as_array().unwrap().iter().find(|event| event["stage"] == "judged").unwrap();
    assert_eq!(tests["tests"].as_array().unwrap().len(), 2, "{tests}");
    assert!(tests["tests"][1]["cpuUs"].is_u64() && tests["tests"][1]["memoryBytes"].is_u64());
    assert_eq!(generation["callbacks"].as_array().unwrap().len(), 2);
    assert!(!shown.to_string().contains("secret_name"), "{shown}");
    let source = console.get("/api/submissions/a/source").await;
    assert!(source.to_string().contains("secret_name"), "{source}");
    for answer in
        [&shown, &source, &console.get("/api/submissions").await, &console.get("/api/overview").await]
    {
        assert!(!answer.to_string().contains("hidden-"), "{answer}");
    }
    let done = console.post("/api/rejudge", &json!({ "ids": ["a"] })).await;
    assert_eq!(done["results"][0]["outcome"], "started", "{done}");
    console.until("/api/submissions/a", |shown| shown["generations"][1]["ended"] == true).await;
    assert_eq!(console.get("/api/dead-letters").await["total"], 0);

    let log = console.process.log();
    let logged = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    assert_eq!(logged("source of a submission shown"), 1);
    assert_eq!((logged(KEY), logged("secret_name"), logged("hidden-")), (0, 0, 0), "{log:?}");
    assert_eq!(pipeline.nats.violations(), Vec::<String>::new());
    console.process.terminate().unwrap();
    assert!(console.process.wait_exit(TEST_TIMEOUT).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn console_names_a_killed_judge_and_a_refusing_convex() {
    let pipeline = Pipeline::start(questions()).await;
    let console = Console::start(&pipeline.nats).await;
    pipeline.submit("a", "hidden", 71, ENDLESS).await;
    let is_running = |overview: &Value| {
        let instances = overview["instances"].as_array();
        instances.is_some_and(|all| all.iter().any(|each| each["running"][0]["id"] == "a"))
    };
    console.until("/api/overview", is_running).await;
    pipeline.judge.kill().await.unwrap();
    let is_gone = |overview: &Value| {
        problem(overview, "judge").is_some()
            && overview["problems"]
                .to_string()
                .contains("1 submission without a verdict, and sends no heartbeats")
    };
    let overview = console.until("/api/overview", is_gone).await;
    assert!(problem(&overview, "judge").unwrap()["remedy"].as_str().unwrap().contains("Start gavel-judge"));
    pipeline.judge.restart().await.unwrap();
    pipeline.convex.fault(Matcher::any(), HttpFault::status(503));
    console
        .until("/api/overview", |overview| {
            overview["problems"].to_string().contains("Convex as reporter")
                && problem(overview, "judge").is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn up_serves_the_console() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path()).await;
    assert_eq!(up.try_post("one", SUM).await, 202);
    assert_eq!(up.final_status("one").await, "passed");
    let base = format!("http://127.0.0.1:{}", up.port + 5);
    let http = gavel_http::client().build().unwrap();
    let get = async |path: &str| http.get(format!("{base}{path}")).send().await.unwrap();
    let session: Value = get("/api/session").await.json().await.unwrap();
    assert_eq!(session["writable"], false);
    let shown: Value = get("/api/submissions/one").await.json().await.unwrap();
    assert_eq!(shown["generations"][0]["generation"], 1);
    assert!(get("/").await.text().await.unwrap().contains("<script"));
    up.process.terminate().unwrap();
    assert!(up.process.wait_exit(TEST_TIMEOUT).await.unwrap().success());
}

#[tokio::test]
async fn wrong_settings_exit_with_64() {
    let run = async |arguments: &[&str], key: &str| {
        let process = Process::builder(env!("CARGO_BIN_EXE_gavel"))
            .arg("console")
            .args(arguments)
            .env("CONSOLE_KEY", key)
            .start()
            .unwrap();
        let code = process.wait_exit(TEST_TIMEOUT).await.unwrap().code();
        (code, process.log().into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n"))
    };
    let (code, said) = run(&[], "short-key").await;
    assert!(
        code == Some(64) && said.contains("at least 16 characters") && !said.contains("short-key"),
        "{said}"
    );
    for arguments in [["--listen", "nowhere"], ["--nats", "http://127.0.0.1"]] {
        assert_eq!(run(&arguments, KEY).await.0, Some(64), "{arguments:?}");
    }
}
