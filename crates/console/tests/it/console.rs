//! What the console shows, live and after interruptions.

use std::time::{Duration, Instant};

use gavel_domain::heartbeat::{DependencyStatus, Heartbeat};
use gavel_domain::{Status, Verdict};
use gavel_proto::WireEvent as _;
use gavel_testkit::fixtures::{self, judged, queued, running};
use gavel_testkit::{NatsServer, TEST_TIMEOUT};
use serde_json::Value;

use crate::rig::{Console, KEY, Rig, ids, verdict};

fn heartbeat(service: &str, instance: &str, problem: Option<&str>) -> Heartbeat {
    Heartbeat {
        service: service.to_owned(),
        instance: instance.to_owned(),
        version: "1".to_owned(),
        started_at_ms: 1,
        slots: 2,
        busy: 1,
        languages: Vec::new(),
        dependencies: vec![DependencyStatus {
            name: "Convex".to_owned(),
            problem: problem.map(str::to_owned),
            since_ms: Some(1),
        }],
        problems: Vec::new(),
    }
}

/// Sends heartbeats until it is aborted.
fn send_heartbeats(rig: &Rig, heartbeat: Heartbeat) -> tokio::task::JoinHandle<()> {
    let bus = rig.bus.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            ticks.tick().await;
            let _ = bus.send_heartbeat(&heartbeat).await;
        }
    })
}

fn find<'a>(overview: &'a Value, list: &str, name: &str, value: &str) -> Option<&'a Value> {
    overview[list].as_array().unwrap().iter().find(|each| each[name] == value)
}

#[tokio::test(flavor = "multi_thread")]
async fn submissions_are_listed_filtered_and_paged() {
    let rig = Rig::start().await;
    for (id, status) in [("a", Status::Passed), ("b", Status::Failed), ("c", Status::Error)] {
        rig.whole(id, verdict(status)).await;
    }
    rig.publish(&queued("d")).await;
    let console = rig.console().await;
    let all = console.until("/api/submissions", |page| page["rows"].as_array().unwrap().len() == 4).await;
    assert_eq!(all["rows"][0]["id"], "d", "the last changed one first");
    for (filter, wanted) in [
        ("status=failed", vec!["b"]),
        ("status=passed,failed", vec!["a", "b"]),
        ("stage=queued", vec!["d"]),
        ("errors=true", vec!["c"]),
        ("id=a&id=d", vec!["a", "d"]),
        ("lang=Python&question=q1", vec!["a", "b", "c", "d"]),
        ("where=passed%20%3E%3D%202%20and%20status%20%21%3D%20passed", vec!["b"]),
        ("since=1h&status=error", vec!["c"]),
    ] {
        let page = console.get(&format!("/api/submissions?{filter}")).await;
        assert_eq!(ids(&page["rows"]), wanted, "{filter}");
    }
    let first = console.get("/api/submissions?limit=3").await;
    let next = first["next"].as_str().unwrap();
    let second = console.get(&format!("/api/submissions?limit=3&before={next}")).await;
    assert_eq!((first["rows"].as_array().unwrap().len(), ids(&second["rows"])), (3, vec!["a"]));
    assert_eq!(second["next"], Value::Null);
    let wrong = console.request("/api/submissions?where=nonsense").send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().await.unwrap().contains("unknown field"));
}

#[tokio::test(flavor = "multi_thread")]
async fn history_counts_verdicts_of_the_last_hour() {
    let rig = Rig::start().await;
    for n in 0..3 {
        rig.whole(&format!("p{n}"), verdict(Status::Passed)).await;
    }
    rig.whole("f", verdict(Status::Failed)).await;
    let console = rig.console().await;
    let sum = |history: &Value, name: &str| -> u64 {
        history["minutes"].as_array().unwrap().iter().map(|minute| minute[name].as_u64().unwrap()).sum()
    };
    let history = console.until("/api/history", |history| sum(history, "passed") == 3).await;
    assert_eq!(history["minutes"].as_array().unwrap().len(), 60);
    assert_eq!((sum(&history, "failed"), sum(&history, "error"), sum(&history, "queued")), (1, 0, 4));
    let last = history["minutes"].as_array().unwrap().iter().rfind(|minute| minute["passed"] != 0).unwrap();
    assert!(last["judgingP50"].is_u64() && last["waitingP95"].as_u64() > Some(700), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_has_all_generations_and_no_secrets() {
    let rig = Rig::start().await;
    let compile_output = "error: private_name is not declared".to_owned();
    rig.whole("a", Verdict { compile_output: Some(compile_output), ..fixtures::failed() }).await;
    rig.whole("a.2", verdict(Status::Passed)).await;
    let console = rig.console().await;
    let shown = console.get("/api/submissions/a").await;
    let generations = shown["generations"].as_array().unwrap();
    assert_eq!(generations.len(), 2);
    assert_eq!((&generations[0]["ended"], &generations[1]["generation"]), (&true.into(), &2.into()));
    assert!(generations[0]["conclusion"].as_str().unwrap().starts_with("Ended "));
    assert!(generations[0]["spans"].as_array().unwrap().iter().any(|span| span["isWork"] == true));
    let text = shown.to_string();
    assert!(!text.contains(fixtures::SOURCE) && !text.contains("private_name"), "{text}");
    let commands = shown["commands"].to_string();
    assert!(commands.contains("gavel trace a") && commands.contains(&console.url("/api/submissions/a")));
    let unknown = console.request("/api/submissions/nobody").send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    assert_eq!(console.request("/api/submissions/a.b").send().await.unwrap().status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_submission_says_what_it_waits_for() {
    let rig = Rig::start().await;
    rig.publish(&queued("a")).await;
    let console = rig.console().await;
    let shown = console
        .until("/api/submissions/a", |shown| {
            shown["generations"][0]["conclusion"]
                .as_str()
                .is_some_and(|said| said.contains("no fetcher takes any"))
        })
        .await;
    assert_eq!(shown["generations"][0]["waitsFor"]["stage"], "fetcher");
}

#[tokio::test(flavor = "multi_thread")]
async fn overview_names_problems_with_remedies() {
    let rig = Rig::start().await;
    rig.publish(&queued("a")).await;
    rig.publish(&running("a")).await;
    rig.dead("b", "Convex answered 401").await;
    let tasks = [
        send_heartbeats(&rig, heartbeat("judge", "judge-b", None)),
        send_heartbeats(&rig, heartbeat("reporter", "reporter-a", Some("Convex answers 503"))),
    ];
    let console = rig.console().await;
    let is_complete = |overview: &Value| {
        find(overview, "problems", "name", "Convex as reporter-a sees it").is_some()
            && find(overview, "problems", "name", "judge-a").is_some()
    };
    let overview = console.until("/api/overview", is_complete).await;
    let problem = |name: &str| {
        find(&overview, "problems", "name", name).unwrap_or_else(|| panic!("{name}: {overview}"))
    };
    assert_eq!(problem("Convex as reporter-a sees it")["what"], "Convex answers 503");
    assert!(problem("Convex as reporter-a sees it")["remedy"].is_string());
    // The judge that started the submission sends no heartbeats.
    assert!(problem("judge-a")["what"].as_str().unwrap().contains("1 submission without a verdict"));
    assert!(problem("ingress")["what"].as_str().unwrap().contains("no heartbeat received"));
    assert_eq!(problem("dead letters")["severity"], "notice");
    assert_eq!(find(&overview, "stages", "stage", "fetcher").unwrap()["waiting"], 1);
    assert_eq!(
        find(&overview, "instances", "instance", "judge-b").unwrap()["running"],
        Value::Array(Vec::new())
    );
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn running_submission_is_shown_at_its_judge() {
    let rig = Rig::start().await;
    rig.publish(&queued("a")).await;
    rig.publish(&running("a")).await;
    let task = send_heartbeats(&rig, heartbeat("judge", "judge-a", None));
    let console = rig.console().await;
    let overview = console
        .until("/api/overview", |overview| {
            find(overview, "instances", "instance", "judge-a")
                .is_some_and(|judge| judge["running"][0]["id"] == "a")
        })
        .await;
    assert!(find(&overview, "problems", "name", "judge-a").is_none());
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_that_is_nearly_full_is_a_problem() {
    let nats = NatsServer::builder().with_roles().start().await;
    let topology = gavel_bus::topology::TopologySettings { store_bytes: 1 << 20, ..Default::default() };
    let rig = Rig(gavel_testkit::Rig::builder().nats(nats).topology(topology).start().await);
    let large = "x".repeat(60_000);
    for n in 0..3 {
        let event = gavel_domain::event::Queued { source: large.clone(), ..queued(&n.to_string()) };
        rig.publish(&event).await;
    }
    let console = rig.console().await;
    let overview = console
        .until("/api/overview", |overview| find(overview, "problems", "name", "stream SUB_QUEUED").is_some())
        .await;
    let problem = find(&overview, "problems", "name", "stream SUB_QUEUED").unwrap();
    assert!(problem["what"].as_str().unwrap().contains("the ingress refuses submissions"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_events_go_on_after_a_lost_connection() {
    let rig = Rig::start().await;
    let console = rig.console().await;
    let mut live = console.live("/api/live?submissions=true", None).await;
    assert_eq!(live.wait("nats").await.data["connected"], true);
    console.until("/api/history", |history| history["complete"] == true).await;
    // A page that has seen no change yet goes on from where it came.
    drop(live);
    let mut live = console.live("/api/live?submissions=true", None).await;
    let first_id = live.wait("nats").await.id.unwrap();
    drop(live);
    rig.publish(&queued("a")).await;
    let mut live = console.live("/api/live?submissions=true", Some(&first_id)).await;
    let batch = live.wait("submissions").await;
    assert_eq!(ids(&batch.data["rows"]), ["a"]);
    let last_id = batch.id.unwrap();
    drop(live);
    rig.publish(&queued("b")).await;
    rig.publish(&running("a")).await;
    let mut live = console.live("/api/live?submissions=true", Some(&last_id)).await;
    let (mut seen, mut stage) = (Vec::new(), Value::Null);
    while seen.len() < 2 {
        for row in live.wait("submissions").await.data["rows"].as_array().unwrap() {
            seen.push(row["id"].as_str().unwrap().to_owned());
            if row["id"] == "a" {
                stage = row["stage"].clone();
            }
        }
    }
    seen.sort();
    assert_eq!((seen, stage), (vec!["a".to_owned(), "b".to_owned()], "running".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_loses_nothing() {
    let rig = Rig::start().await;
    rig.whole("a", verdict(Status::Passed)).await;
    let last_id = {
        let console = rig.console().await;
        console.until("/api/history", |history| history["complete"] == true).await;
        let mut live = console.live("/api/live?submissions=true", None).await;
        rig.publish(&queued("b")).await;
        live.wait("submissions").await.id.unwrap()
    };
    rig.publish(&queued("c")).await;
    rig.publish(&running("c")).await;
    let console = rig.console().await;
    let mut live = console.live("/api/live?submissions=true", Some(&last_id)).await;
    let rows = live.wait("submissions").await.data["rows"].take();
    assert!(ids(&rows).contains(&"c"), "{rows}");
    let passed = |history: &Value| {
        history["minutes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|minute| minute["passed"].as_u64().unwrap())
            .sum::<u64>()
    };
    console.until("/api/history", |history| passed(history) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_events_are_filtered() {
    let rig = Rig::start().await;
    let console = rig.console().await;
    console.until("/api/history", |history| history["complete"] == true).await;
    let mut live = console.live("/api/live?submissions=true&status=failed", None).await;
    live.wait("nats").await;
    rig.whole("a", verdict(Status::Passed)).await;
    rig.whole("b", verdict(Status::Failed)).await;
    loop {
        let batch = live.wait("submissions").await.data;
        let found = ids(&batch["rows"]);
        assert!(!found.contains(&"a"), "{batch}");
        if found == ["b"] {
            break;
        }
    }
}

/// More than a thousand events a second, as far as this machine publishes them.
#[tokio::test(flavor = "multi_thread")]
async fn live_events_are_summed_up() {
    const SUBMISSIONS: usize = 2_000;
    let rig = Rig::start().await;
    let console = rig.console().await;
    console.until("/api/history", |history| history["complete"] == true).await;
    let mut live = console.live("/api/live?submissions=true", None).await;
    live.wait("nats").await;
    let client = rig.bus.connection().client().clone();
    let publishing = tokio::spawn(async move {
        let begun = Instant::now();
        for n in 0..SUBMISSIONS {
            let id = n.to_string();
            let events = [
                (format!("submission.queued.{id}"), queued(&id).encode()),
                (format!("submission.judged.{id}"), judged(&id, fixtures::passed()).encode()),
            ];
            for (subject, payload) in events {
                client.publish(subject, payload).await.unwrap();
            }
            if n % 250 == 249 {
                // 2,000 events a second.
                tokio::time::sleep_until((begun + Duration::from_millis(n as u64)).into()).await;
            }
        }
    });
    let (begun, mut events, mut batches, mut passed) = (Instant::now(), 0, 0, 0);
    while events < 2 * SUBMISSIONS as u64 {
        let batch = live.wait("submissions").await.data;
        let rows = batch["rows"].as_array().unwrap();
        assert!(rows.len() <= 200, "{}", rows.len());
        events += batch["events"].as_u64().unwrap();
        passed += batch["byStatus"]["passed"].as_u64().unwrap_or(0);
        batches += 1;
    }
    publishing.await.unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(passed, SUBMISSIONS as u64);
    assert!(f64::from(batches) <= seconds * 4.0 + 2.0, "{batches} batches in {seconds} s");
    eprintln!("{events} events in {seconds:.1} s came in {batches} batches");
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_away_is_said_at_once_and_nothing_is_lost() {
    let rig = Rig::start().await;
    rig.whole("a", verdict(Status::Passed)).await;
    let console = rig.console().await;
    console.until("/api/history", |history| history["complete"] == true).await;
    let mut live = console.live("/api/live?submissions=true&overview=true", None).await;
    assert_eq!(live.wait("nats").await.data["connected"], true);
    rig.nats.kill().await.unwrap();
    let lost = live.wait("nats").await.data;
    assert_eq!(lost["connected"], false);
    assert!(lost["remedy"].as_str().unwrap().contains("gavel up"), "{lost}");
    let begun = Instant::now();
    let answer = console.request("/api/submissions/a").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let said: Value = answer.json().await.unwrap();
    assert!(said["error"] == "NATS does not answer" && said["remedy"].is_string(), "{said}");
    let overview = console.get("/api/overview").await;
    assert_eq!((&overview["connected"], &overview["problems"][0]["name"]), (&false.into(), &"NATS".into()));
    // What it holds is still there.
    assert_eq!(ids(&console.get("/api/submissions").await["rows"]), ["a"]);
    let action =
        console.post("/api/dead-letters/drop", &serde_json::json!({ "sequences": [1] })).bearer_auth(KEY);
    assert_eq!(action.send().await.unwrap().status(), 503);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    rig.nats.restart().await.unwrap();
    loop {
        if live.wait("nats").await.data["connected"] == true {
            break;
        }
    }
    tokio::time::timeout(TEST_TIMEOUT, rig.bus.connection().wait_connected()).await.unwrap();
    rig.publish(&queued("b")).await;
    loop {
        let rows = live.wait("submissions").await.data["rows"].take();
        if ids(&rows).contains(&"b") {
            break;
        }
    }
    // Nothing is counted twice.
    let history = console.get("/api/history").await;
    let passed: u64 =
        history["minutes"].as_array().unwrap().iter().map(|minute| minute["passed"].as_u64().unwrap()).sum();
    assert_eq!(passed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_has_lost_its_store_is_read_from_its_start() {
    let rig = Rig::start().await;
    rig.whole("a", verdict(Status::Passed)).await;
    let console = rig.console().await;
    console.until("/api/submissions", |page| page["rows"].as_array().unwrap().len() == 1).await;
    rig.nats.kill().await.unwrap();
    std::fs::remove_dir_all(rig.nats.store()).unwrap();
    rig.nats.restart().await.unwrap();
    tokio::time::timeout(TEST_TIMEOUT, rig.bus.ensure_topology()).await.unwrap();
    rig.publish(&queued("b")).await;
    console.until("/api/submissions", |page| ids(&page["rows"]) == ["b"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn console_starts_without_nats() {
    let console = Console::start("nats://127.0.0.1:9", None).await;
    let overview = console.until("/api/overview", |overview| overview["problems"][0]["name"] == "NATS").await;
    assert_eq!(overview["connected"], false);
    assert_eq!(console.request("/api/dead-letters").send().await.unwrap().status(), 503);
    assert_eq!(console.get("/api/session").await["writable"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_end_when_the_console_stops() {
    let rig = Rig::start().await;
    let console = rig.console().await;
    let mut live = console.live("/api/live?overview=true", None).await;
    live.wait("overview").await;
    let begun = Instant::now();
    drop(console);
    while live.next().await.is_some() {}
    assert!(begun.elapsed() < Duration::from_secs(4));
}
