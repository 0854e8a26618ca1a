//! Four partitions on a cluster of three servers, as docs/scaling.md describes them: an account with its own streams and its
//! own services for each, and one ingress whose account maps each submission to a partition. The services do not know of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use gavel_bus::topology::Stream;
use gavel_config::Env;
use gavel_domain::engine::{EngineFault, Job, Observer, Progress};
use gavel_domain::{Execution, LanguageId, Outcome, Usage};
use gavel_judge::Engine;
use gavel_mock_convex::{MockConvex, Question, Status, SubmissionKind};
use gavel_runtime::Lifecycle;
use gavel_testkit::{NatsServer, TEST_TIMEOUT, wait_until};
use serde_json::json;

const PARTITIONS: usize = 4;
const SUBMISSIONS: usize = 40;

/// Returns the expected outputs.
struct CorrectPrograms;

#[async_trait]
impl Engine for CorrectPrograms {
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        for test in &job.question.tests {
            let (outcome, stdout) = (Outcome::Exited { code: 0 }, test.expected_stdout.clone().into_bytes());
            let (stderr, usage) = (Vec::new(), Usage::default());
            let _ = observer(Execution { outcome, matched_bytes: 0, stdout, stderr, usage });
        }
        Ok(Progress::Ran)
    }

    fn serves(&self, _: LanguageId) -> bool {
        true
    }
}

/// The accounts: one for each partition, and that of the ingress.
fn accounts() -> String {
    let mut text = "accounts {\n".to_owned();
    let mut imports = String::new();
    for n in 0..PARTITIONS {
        write!(
            text,
            r#"P{n} {{
                jetstream: enabled
                users: [{{ user: p{n}, password: p }}]
                exports: [
                  {{ service: "submission.queued.*", response_type: Singleton, accounts: [EDGE], allow_trace: true }}
                  {{ service: "probe.SUB_QUEUED", response_type: Singleton, accounts: [EDGE] }}
                ]
            }}
            "#
        )
        .unwrap();
        writeln!(
            imports,
            r#"{{ service: {{ account: P{n}, subject: "submission.queued.*" }}, to: "{n}.submission.queued.*" }}"#
        )
        .unwrap();
    }
    write!(
        text,
        r#"EDGE {{
            users: [{{ user: ingress, password: p }}]
            mappings: {{ "submission.queued.*": "{{{{partition({PARTITIONS},1)}}}}.submission.queued.{{{{wildcard(1)}}}}" }}
            imports: [
              {imports}
              {{ service: {{ account: P0, subject: "probe.SUB_QUEUED" }} }}
            ]
        }} }}"#
    )
    .unwrap();
    text
}

/// The environment of a service that logs in as this user.
fn env(urls: &str, user: &str, convex: &MockConvex) -> Env {
    let convex = convex.url();
    let variables = [
        ("PORT", "0"),
        ("NATS_URL", urls),
        ("NATS_USER", user),
        ("NATS_PASSWORD", "p"),
        ("NATS_REPLICAS", "3"),
        ("CONVEX_SITE_URL", &convex),
    ];
    // The ingress cannot create streams, and judges have no address of Convex.
    let made = [("NATS_MAKE_STREAMS", if user == "ingress" { "false" } else { "true" })];
    let variables = variables.into_iter().chain(made);
    Env::from_vars(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// The ids of the queued submissions in a partition.
async fn queued(urls: &str, user: &str) -> BTreeSet<String> {
    let servers: Vec<async_nats::ServerAddr> = urls.split(',').map(|url| url.parse().unwrap()).collect();
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), "p".to_owned());
    let context = async_nats::jetstream::new(options.connect(servers).await.unwrap());
    let stream = context.get_stream(Stream::Queued.name()).await.unwrap();
    assert_eq!(stream.cached_info().config.num_replicas, 3);
    let mut subjects = stream.info_with_subjects("submission.queued.*").await.unwrap();
    let mut ids = BTreeSet::new();
    while let Some(subject) = futures::StreamExt::next(&mut subjects).await {
        ids.insert(subject.unwrap().0.rsplit_once('.').unwrap().1.to_owned());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn four_partitions_on_three_servers_share_the_submissions() {
    let servers = NatsServer::builder().config(&accounts()).start_cluster(3).await.unwrap();
    let urls = servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",");
    let question = Question::build(SubmissionKind::Standard, "q").public("1", "1").hidden("2", "2").done();
    let convex = MockConvex::start_local(vec![question]).await.unwrap();
    let lifecycle = Lifecycle::default();
    for n in 0..PARTITIONS {
        let env = || env(&urls, &format!("p{n}"), &convex);
        let fetcher = gavel_fetcher::bind(gavel_fetcher::Config::read(&mut env())).await.unwrap();
        let judge = gavel_judge::bind(gavel_judge::Config::read(&mut env()), CorrectPrograms).await.unwrap();
        let reporter = gavel_reporter::bind(gavel_reporter::Config::read(&mut env())).await.unwrap();
        tokio::spawn(fetcher.run(lifecycle.clone()));
        tokio::spawn(judge.run(lifecycle.clone()));
        tokio::spawn(reporter.run(lifecycle.clone()));
    }
    let ingress = gavel_ingress::Config::read(&mut env(&urls, "ingress", &convex));
    let ingress = gavel_ingress::bind(ingress).await.unwrap();
    let address = ingress.address().unwrap();
    tokio::spawn(ingress.run(lifecycle.clone()));

    let http = gavel_http::client().build().unwrap();
    let post = async |id: &str| {
        let body =
            json!({ "questionId": "q", "submissionId": id, "languageId": 71, "sourceCode": "print(1)" });
        let url = format!("http://{address}/v1/judge-question");
        let answer =
            http.post(url).header("content-type", "application/json").body(body.to_string()).send().await;
        answer.is_ok_and(|answer| answer.status() == 202)
    };
    let ids: Vec<String> = (0..SUBMISSIONS).map(|n| format!("s{n}")).collect();
    for id in &ids {
        // Until the streams of its partition exist, it is refused.
        wait_until("a 202", TEST_TIMEOUT, async || post(id).await).await.unwrap();
    }
    convex.wait_all_final(&ids, TEST_TIMEOUT + Duration::from_secs(30)).await.unwrap();
    for id in &ids {
        assert!(post(id).await, "a repeated submission is accepted");
        let state = convex.submission(id).unwrap();
        assert_eq!((state.status, state.result_calls), (Status::Passed, 1));
    }
    let mut all = BTreeSet::new();
    for n in 0..PARTITIONS {
        let here = queued(&urls, &format!("p{n}")).await;
        assert!(!here.is_empty() && all.is_disjoint(&here), "partition {n}");
        all.extend(here);
    }
    assert_eq!(all, ids.into_iter().collect());
    lifecycle.stop.cancel();
}
