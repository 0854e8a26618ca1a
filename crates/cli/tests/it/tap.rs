//! `gavel tap` and `gavel decode`, on a real server.

use std::io::Write as _;
use std::process::{Command, Stdio};

use futures::StreamExt as _;
use gavel_domain::Status;
use gavel_proto::WireEvent as _;
use gavel_testkit::{NatsServer, Process, TEST_TIMEOUT, wait_until};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::events::{Rig, exit_code, gavel, gavel_at, judged, lines, queued, ready, reported, running};
use crate::pipeline::Pipeline;

async fn wait_subscribed(tap: &Process) {
    tap.wait_log("the tap", TEST_TIMEOUT, |line| line.contains("listening")).await.unwrap();
}

async fn wait_line(tap: &Process, part: &str) {
    tap.wait_log(part, TEST_TIMEOUT, |line| line.contains(part)).await.unwrap();
}

/// The stage and id in each line of JSON.
fn steps(tap: &Process) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = tap.log().iter().filter_map(gavel_testkit::LogLine::json).collect::<Vec<_>>();
    events.iter().map(|event| (text(&event["stage"]), text(&event["id"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tap_shows_live_events_until_the_verdict() {
    let questions = vec![
        gavel_mock_convex::Question::build(gavel_mock_convex::SubmissionKind::Standard, "q")
            .public("7", "7")
            .done(),
    ];
    let pipeline = Pipeline::start(questions).await;
    let nats = &pipeline.nats;
    let watching = gavel(nats, &["tap", "--headers"]);
    let passing = gavel(nats, &["tap", "--id", "a", "--until", "verdict", "-o", "jsonl"]);
    let failing = gavel(nats, &["tap", "--id", "b", "--until", "verdict"]);
    let erring = gavel(nats, &["tap", "--id", "c", "--until", "verdict"]);
    let waiting = gavel(nats, &["tap", "--id", "never", "--until", "verdict", "--timeout", "1s"]);
    for tap in [&watching, &passing, &failing, &erring] {
        wait_subscribed(tap).await;
    }
    pipeline.submit("a", "q", 71, "print(input())").await;
    pipeline.submit("b", "q", 71, "print('a secret idea')").await;
    pipeline.submit("c", "q", 4242, "x").await;
    assert_eq!(exit_code(&passing).await, Some(0));
    assert_eq!(exit_code(&failing).await, Some(1));
    assert_eq!(exit_code(&erring).await, Some(2));
    assert_eq!(exit_code(&waiting).await, Some(3));
    let seen: Vec<_> = steps(&passing).into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(seen, ["queued", "ready", "running", "judged"]);
    wait_line(&failing, "judged    b            Python     failed 0/1 \"Wrong answer\"").await;
    wait_line(&watching, "    Gavel-Schema: gavel.v1.Judged").await;
    assert!(!watching.log().iter().any(|line| line.contains("secret idea")), "a source is shown unasked");
    assert!(!watching.log().iter().any(|line| line.contains("\x1b")), "colours without a terminal");
}

#[tokio::test(flavor = "multi_thread")]
async fn tap_continues_from_history_without_gap_or_duplicate() {
    for begun in [0, 60, 150] {
        let rig = Rig::start().await;
        let client = async_nats::connect(rig.nats.url()).await.unwrap();
        let mut reads = client.subscribe("$JS.API.DIRECT.GET.>").await.unwrap();
        client.flush().await.unwrap();
        let flood = async {
            for n in 0..200 {
                rig.publish(&queued(&format!("s{n}"))).await;
                rig.publish(&running(&format!("s{n}"))).await;
            }
        };
        // The tap starts while events are being published.
        let started = async {
            if begun > 0 {
                wait_stored(&rig, &format!("submission.queued.s{begun}")).await;
            }
            rig.gavel(&["tap", "--all", "-o", "jsonl"])
        };
        let ((), tap) = tokio::join!(flood, started);
        // Each of four streams is read to its end, again once the tap is subscribed, and once more a little later.
        for n in 0..12 {
            let read = tokio::time::timeout(TEST_TIMEOUT, reads.next()).await;
            assert!(read.is_ok_and(|read| read.is_some()), "only {n} reads");
        }
        rig.publish(&queued("end")).await;
        wait_line(&tap, "submission.queued.end").await;
        let mut seen = steps(&tap);
        assert_eq!(seen.len(), 401, "from {begun}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 401, "something is shown twice");
    }
}

/// Waits until a message is stored on this subject. It uses no direct get, because the test counts those.
async fn wait_stored(rig: &Rig, subject: &str) {
    let client = async_nats::connect(rig.nats.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream_no_info("SUB_QUEUED").await.unwrap();
    let found = async || stream.get_last_raw_message_by_subject(subject).await.is_ok();
    wait_until("a part of the flood", TEST_TIMEOUT, found).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tap_filters_saves_and_loads_history() {
    let rig = Rig::start().await;
    rig.whole("good", Status::Passed).await;
    rig.whole("bad", Status::Failed).await;
    rig.whole("broken", Status::Error).await;
    // Duplicates, which the server does not store, and undecodable messages are not part of the history.
    let all = rig.gavel(&["tap", "--all", "--no-follow", "-o", "jsonl"]);
    assert_eq!(exit_code(&all).await, Some(0));
    assert_eq!(steps(&all).len(), 15);
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("session.jsonl");
    let path = file.to_str().unwrap();
    let wanted = ["--errors", "--where", "stage == judged and reason ~ BROKE"];
    let found = rig.gavel(&[&["tap", "--since", "1h", "--no-follow", "--save", path][..], &wanted].concat());
    assert_eq!(exit_code(&found).await, Some(0));
    assert_eq!(lines(&found).len(), 1);
    assert!(
        lines(&found)[0].contains("judged    broken       Python     error 3/10 \"Something broke.\" 812ms")
    );
    let loaded = gavel_at("nats://127.0.0.1:9", &["tap", "--load", path]);
    assert_eq!(exit_code(&loaded).await, Some(0));
    assert_eq!(lines(&loaded), lines(&found));
    let verdict = gavel_at("nats://127.0.0.1:9", &["tap", "--load", path, "--until", "verdict"]);
    assert_eq!(exit_code(&verdict).await, Some(2));
    let template =
        rig.gavel(&["tap", "--all", "--no-follow", "--id", "bad", "-o", "template={shortId}:{stage}"]);
    assert_eq!(exit_code(&template).await, Some(0));
    assert_eq!(lines(&template), ["bad:queued", "bad:ready", "bad:running", "bad:judged", "bad:reported"]);
    std::fs::write(&file, "{}\n").unwrap();
    assert_eq!(exit_code(&gavel_at("nats://127.0.0.1:9", &["tap", "--load", path])).await, Some(65));
    assert_eq!(exit_code(&gavel_at("nats://127.0.0.1:9", &["tap", "--load", "/no/such"])).await, Some(66));
}

#[tokio::test(flavor = "multi_thread")]
async fn tap_escapes_undecodable_payloads_and_control_characters() {
    let rig = Rig::start().await;
    let tap = rig.gavel(&["tap"]);
    wait_subscribed(&tap).await;
    let client = async_nats::connect(rig.nats.url()).await.unwrap();
    let hostile = "submission.judged.\u{1b}]0;owned\u{7}\u{9b}2J";
    client.publish(hostile, b"\xff\x00\x1b[2J".to_vec().into()).await.unwrap();
    client.publish("submission.other.a.2", "later".into()).await.unwrap();
    client.flush().await.unwrap();
    rig.publish(&judged("a", Status::Failed)).await;
    // The server may deliver messages of different connections in any order.
    wait_line(&tap, "undecodable on submission.judged.\\u{1b}]0;owned\\u{7}\\u{9b}2J, 6 B: ff 00 1b").await;
    wait_line(&tap, "undecodable on submission.other.a.2").await;
    wait_line(&tap, "failed 3/10").await;
    let shown = lines(&tap);
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(!shown.concat().contains(|c: char| c.is_control()), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tap_reports_disconnect_and_reconnect() {
    let rig = Rig::start().await;
    let tap = rig.gavel(&["tap"]);
    wait_subscribed(&tap).await;
    rig.nats.kill().await.unwrap();
    wait_line(&tap, "connection to NATS lost").await;
    rig.nats.restart().await.unwrap();
    wait_line(&tap, "events in between were skipped").await;
    wait_until("a publisher", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    rig.publish(&queued("after")).await;
    wait_line(&tap, "queued    after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribe_only_user_can_tap_live_but_not_history() {
    let users = "authorization { users: [ { user: gavel, password: p }, \
        { user: tap, password: p, permissions: { publish: { deny: \">\" }, \
          subscribe: { allow: [\"submission.>\", \"_INBOX.>\"] } } }, \
        { user: denied, password: p, permissions: { subscribe: { deny: \"submission.>\" } } } ] }";
    let nats = NatsServer::builder().config(users).start().await;
    let url = |user: &str| nats.url().replace("nats://", &format!("nats://{user}:p@"));
    let options = async_nats::ConnectOptions::with_user_and_password("gavel".to_owned(), "p".to_owned());
    let client = options.connect(nats.url()).await.unwrap();
    let tap = gavel_at(&url("tap"), &["tap"]);
    wait_subscribed(&tap).await;
    client.publish("submission.queued.a", queued("a").encode()).await.unwrap();
    wait_line(&tap, "queued    a").await;
    let back = gavel_at(&url("tap"), &["tap", "--all"]);
    assert_eq!(exit_code(&back).await, Some(77));
    wait_line(&back, "$JS.API.DIRECT.GET").await;
    assert_eq!(exit_code(&gavel_at(&url("denied"), &["tap"])).await, Some(77));
    let wrong = gavel_at(&url("nobody"), &["tap"]);
    assert_eq!(exit_code(&wrong).await, Some(77));
    wait_line(&wrong, "rejected the credentials").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tap_exit_codes_distinguish_wrong_usage_and_absent_server() {
    let nats = NatsServer::start().await;
    for (arguments, code, word) in [
        (&["tap", "--all"][..], 69, "no stream SUB_QUEUED"),
        (&["tap", "--no-follow"], 64, "--no-follow goes with"),
        (&["tap", "--where", "statsu == x"], 64, "unknown field"),
        (&["tap", "-o", "xml"], 64, "jsonl"),
        (&["tap", "--since", "soon"], 64, "10m"),
    ] {
        let process = gavel(&nats, arguments);
        assert_eq!(exit_code(&process).await, Some(code), "{arguments:?}");
        assert!(process.log().iter().any(|line| line.contains(word)), "{arguments:?}: {:?}", process.log());
    }
    assert_eq!(exit_code(&gavel_at("nats://127.0.0.1:9", &["tap"])).await, Some(69));
    assert_eq!(exit_code(&gavel_at("nats://", &["tap"])).await, Some(64));
}

/// A terminal that does not read must not stop the tap, and lost events must be counted.
#[tokio::test(flavor = "multi_thread")]
async fn tap_counts_events_lost_to_a_slow_terminal() {
    let nats = NatsServer::builder().config("http: \"127.0.0.1:-1\"").start().await;
    let monitor = nats.process().log().into_iter().find_map(|line| {
        Some(line.text.split_once("Starting http monitor on ")?.1.trim_matches(['"', '}', ' ']).to_owned())
    });
    let connections = format!("http://{}/connz", monitor.unwrap());
    let mut tap = tokio::process::Command::new(env!("CARGO_BIN_EXE_gavel"))
        .args(["tap", "-o", "jsonl"])
        .env("NATS_URL", nats.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(tap.stderr.take().unwrap()).lines();
    assert!(said.next_line().await.unwrap().unwrap().contains("listening"));
    let client = async_nats::connect(nats.url()).await.unwrap();
    let mut sent = 0;
    let mut flood = async |payload: Vec<u8>, count: u64| {
        for _ in 0..count {
            client.publish("submission.queued.a", payload.clone().into()).await.unwrap();
        }
        client.flush().await.unwrap();
        sent += count;
        wait_until("the tap to take it all", TEST_TIMEOUT, async || {
            let answer: Value = gavel_http::client()
                .build()
                .unwrap()
                .get(&connections)
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            let all = answer["connections"].as_array().unwrap();
            let tap = all.iter().find(|each| each["name"] == "gavel-tap").unwrap();
            tap["pending_bytes"] == 0 && tap["out_msgs"].as_u64().unwrap() >= sent
        })
        .await
        .unwrap();
    };
    // Enough to fill the pipe, then more than the tap buffers.
    flood(queued("a").encode().to_vec(), 2_000).await;
    for _ in 0..12 {
        flood(vec![0xff; 1 << 20], 10).await;
    }
    let mut written = BufReader::new(tap.stdout.take().unwrap()).lines();
    let (mut shown, mut lost) = (0, 0);
    while shown + lost < 2_120 {
        let line = tokio::time::timeout(TEST_TIMEOUT, written.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{shown} shown, {lost} lost, and nothing more"));
        let line = line.unwrap().unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        match value["notice"].as_str() {
            Some(notice) => lost += notice.split(' ').next().unwrap().parse::<u64>().unwrap(),
            None => shown += 1,
        }
    }
    assert_eq!(shown + lost, 2_120);
    assert!(lost > 20, "only {lost} were lost");
}

#[test]
fn decode_prints_one_payload() {
    let decode = |arguments: &[&str], payload: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gavel"))
            .arg("decode")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that is refused ends before it reads.
        let _ = child.stdin.take().unwrap().write_all(payload);
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let payload = judged("a", Status::Failed).encode();
    let wanted = "judged a Python failed 3/10 \"Wrong answer\" 812ms by judge-a\n";
    assert_eq!(decode(&["--subject", "submission.judged.a"], &payload), (Some(0), wanted.to_owned()));
    let (code, said) = decode(&["--schema", "gavel.v1.Judged", "--json"], &payload);
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json["status"]), (Some(0), &"failed".into()));
    for event in [ready("a").encode(), running("a").encode()] {
        let (code, _) = decode(&["--subject", "submission.reported.a"], &event);
        assert_eq!(code, Some(65));
    }
    let (code, said) = decode(&["--schema", "ready", "--show-source"], &ready("a").encode());
    assert_eq!((code, said.contains("print('a secret idea')")), (Some(0), true));
    assert_eq!(decode(&["--schema", "reported"], &reported("a", Status::Passed).encode()).0, Some(0));
    assert_eq!(decode(&[], &payload).0, Some(64));
}
