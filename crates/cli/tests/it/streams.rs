//! `gavel streams --dry-run` and `--apply`, as the role that may do it.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use gavel_testkit::{NatsServer, Process};
use serde_json::Value;

use crate::events::{Rig, exit_code, lines, queued};

/// The size of the streams of a [`Rig`].
const STORE_BYTES: &str = "1073741824";

/// Starts `gavel streams` with these arguments and the settings that the streams were made with.
fn start(rig: &Rig, arguments: &[&str]) -> Process {
    Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .arg("streams")
        .args(arguments)
        .envs(rig.nats.login("deploy"))
        .env("NATS_STORE_BYTES", STORE_BYTES)
        .start()
        .unwrap()
}

async fn streams(rig: &Rig, arguments: &[&str]) -> (Option<i32>, String) {
    let process = start(rig, arguments);
    let code = exit_code(&process).await;
    (code, lines(&process).join("\n"))
}

async fn change(rig: &Rig, stream: &str, change: impl FnOnce(&mut Config)) {
    let mut config = rig.jetstream.context.get_stream(stream).await.unwrap().cached_info().config.clone();
    change(&mut config);
    rig.jetstream.context.update_stream(config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn differing_streams_are_listed_then_corrected_and_keep_their_messages() {
    let rig = Rig::start().await;
    let nothing = "all streams and consumers exist with the configuration that this version wants";
    assert_eq!(streams(&rig, &["--dry-run"]).await, (Some(0), nothing.to_owned()));

    rig.publish(&queued("a")).await;
    change(&rig, "SUB_QUEUED", |config| config.max_age = Duration::from_hours(1)).await;
    rig.jetstream.context.delete_stream("CALLBACKS").await.unwrap();
    let plan = "change   SUB_QUEUED: max_age from 1h to 3days\ncreate   CALLBACKS\n1 to create, 1 to change";
    for _ in 0..2 {
        assert_eq!(streams(&rig, &["--dry-run"]).await, (Some(1), plan.to_owned()));
    }
    // Without an option, it creates what is missing and changes nothing else.
    let process = start(&rig, &[]);
    assert_eq!(exit_code(&process).await, Some(0));
    let said: Vec<_> = process.log().into_iter().map(|line| line.text).collect();
    let hint = "gavel streams: SUB_QUEUED: max_age is 1h instead of 3days: see \"gavel streams --dry-run\"";
    assert!(said.contains(&hint.to_owned()), "{said:?}");

    // Two at once.
    let both = [start(&rig, &["--apply", "--json"]), start(&rig, &["--apply", "--json"])];
    for process in &both {
        assert_eq!(exit_code(process).await, Some(0), "{:?}", process.log());
    }
    let reports =
        both.iter().filter_map(|process| process.log().iter().find_map(gavel_testkit::LogLine::json));
    let reports: Vec<Value> = reports.collect();
    assert!(reports.len() == 2 && reports.iter().all(|report| report["ok"] == true), "{reports:?}");
    let changed: Vec<_> =
        reports.iter().flat_map(|report| report["differences"].as_array().unwrap()).collect();
    assert!(!changed.is_empty());
    for difference in changed {
        assert_eq!((&difference["stream"], &difference["field"]), (&"SUB_QUEUED".into(), &"max_age".into()));
        assert_eq!(
            (&difference["state"], &difference["wanted"]),
            (&"changed".into(), &259_200_000_000_000_u64.into())
        );
    }
    assert_eq!(streams(&rig, &["--apply"]).await, (Some(0), nothing.to_owned()));
    assert_eq!(rig.jetstream.message_count(gavel_bus::topology::Stream::Queued).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unchangeable_field_is_listed_with_its_remedy() {
    let rig = Rig::start().await;
    let context = &rig.jetstream.context;
    let mut config = context.get_stream("BUNDLES").await.unwrap().cached_info().config.clone();
    context.delete_stream("BUNDLES").await.unwrap();
    config.storage = async_nats::jetstream::stream::StorageType::Memory;
    context.create_stream(config).await.unwrap();
    for option in ["--dry-run", "--apply"] {
        let (code, text) = streams(&rig, &[option]).await;
        assert_eq!(code, Some(1), "{text}");
        for part in [
            "by hand  BUNDLES: storage is memory instead of file",
            "nats stream rm BUNDLES",
            "1 to change by hand",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
    let (code, text) = streams(&rig, &["--apply", "--json"]).await;
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["ok"]), (Some(1), &false.into()));
    let left = &report["differences"][0];
    assert_eq!((&left["state"], &left["found"]), (&"manual".into(), &"memory".into()));
    assert!(left["remedy"].as_str().unwrap().contains("nats stream rm BUNDLES"));
}

/// A server with streams, and a user who may read their configuration, but not change or copy them.
pub(crate) async fn server_with_a_reader() -> NatsServer {
    let users = r#"authorization { users: [
        { user: all, password: "the-password" }
        { user: reader, password: "the-password", permissions: {
            publish: ["$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*"], subscribe: ["_INBOX_deploy.>"]
        } }
    ] }"#;
    let nats = NatsServer::builder().config(users).start().await;
    assert_eq!(exit_code(&gavel_as("all", &nats, &["streams"])).await, Some(0));
    nats
}

/// Starts `gavel` as a user of this server.
pub(crate) fn gavel_as(user: &str, nats: &NatsServer, arguments: &[&str]) -> Process {
    Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .args(arguments)
        .envs([("NATS_URL", nats.url().as_str()), ("NATS_USER", user), ("NATS_PASSWORD", "the-password")])
        .env("NATS_STORE_BYTES", STORE_BYTES)
        .start()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_permission_and_wrong_usage_have_separate_exit_codes() {
    let nats = server_with_a_reader().await;
    let listed = gavel_as("reader", &nats, &["streams", "--dry-run"]);
    assert_eq!(exit_code(&listed).await, Some(0), "{:?}", listed.log());
    let context = async_nats::ConnectOptions::with_user_and_password("all".into(), "the-password".into());
    let context = async_nats::jetstream::new(context.connect(nats.url()).await.unwrap());
    let config = context.get_stream("SUB_QUEUED").await.unwrap().cached_info().config.clone();
    context.update_stream(Config { max_age: Duration::from_hours(1), ..config }).await.unwrap();
    for (option, code) in [("--dry-run", 1), ("--apply", 77)] {
        let process = gavel_as("reader", &nats, &["streams", option]);
        assert_eq!(exit_code(&process).await, Some(code), "{:?}", process.log());
    }
    let away = ["streams", "--dry-run", "--timeout", "1"];
    let away = Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .args(away)
        .env("NATS_URL", "nats://127.0.0.1:9")
        .start()
        .unwrap();
    assert_eq!(exit_code(&away).await, Some(69));
    for wrong in [&["streams", "--json"][..], &["streams", "--dry-run", "--apply"]] {
        let process = Process::builder(env!("CARGO_BIN_EXE_gavel")).args(wrong).start().unwrap();
        assert_eq!(exit_code(&process).await, Some(64), "{wrong:?}");
    }
}
