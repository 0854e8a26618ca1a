//! Each role against every action that any role may take, and more: it may do what it needs, and nothing else.

use std::collections::BTreeSet;

use gavel_bus::topology::{self, ConsumerId, Durable, Stream};
use gavel_domain::LanguageId;
use gavel_testkit::TEST_TIMEOUT;

use super::Deployed;

const ROLES: [&str; 7] = ["ingress", "fetcher", "judge", "reporter", "tap", "deploy", "ops"];

/// The subjects that a role needs to publish on. No other is allowed.
fn publishes(role: &str) -> Vec<String> {
    let events = |names: &[&str]| names.iter().map(|name| format!("submission.{name}.x")).collect();
    let direct = |stream: &str, subjects: &[&str]| -> Vec<String> {
        subjects.iter().map(|subject| format!("$JS.API.DIRECT.GET.{stream}.{subject}")).collect()
    };
    let mut all: Vec<String> = match role {
        "ingress" => events(&["queued"]),
        "fetcher" => events(&["ready", "judged", "dead"]),
        "judge" => events(&["running", "judged", "waiting", "expired", "dead"]),
        "reporter" => events(&["reported", "judged", "dead"]),
        "ops" => events(&["queued", "ready", "judged", "rejudged"]),
        _ => Vec::new(),
    };
    let probed: &[Stream] = match role {
        "ingress" => &[Stream::Queued],
        "fetcher" => &[Stream::Ready, Stream::Result, Stream::DeadLetter, Stream::Bundles],
        "judge" => &[Stream::Ready, Stream::Waiting, Stream::Result, Stream::DeadLetter],
        "reporter" => &[Stream::Result, Stream::DeadLetter],
        "ops" => &Stream::ALL,
        _ => &[],
    };
    all.extend(probed.iter().copied().map(topology::probe));
    match role {
        "fetcher" => {
            all.extend(["bundle.1.ab.0", "dead-message.S.1.1"].map(str::to_owned));
            all.extend(consuming(Durable::ReporterJudged));
            all.extend(["STREAM.INFO", "DIRECT.GET"].map(|call| format!("$JS.API.{call}.SUB_RESULT")));
            all.extend(direct("SUB_RESULT", &["submission.reported.x", "submission.rejudged.x"]));
            all.push("$JS.API.STREAM.INFO.SUB_QUEUED".to_owned());
            all.extend(consuming(Durable::Fetcher));
            all.extend(consuming(Durable::FetcherExpired));
            all.extend(["SUB_READY", "SUB_WAITING"].map(|stream| format!("$JS.API.STREAM.MSG.GET.{stream}")));
        }
        "judge" => {
            all.push("dead-message.S.1.1".to_owned());
            all.extend(consuming(Durable::Judge));
            all.extend(consuming(LANGUAGE));
            all.push("$JS.API.CONSUMER.CREATE.SUB_WAITING.x.submission.queued.x".to_owned());
            all.push("$JS.API.STREAM.INFO.SUB_WAITING".to_owned());
            all.push("$JS.API.DIRECT.GET.SUB_WAITING".to_owned());
            all.extend(direct("SUB_RESULT", &["submission.running.x"]));
            all.extend(direct("BUNDLES", &["bundle.1.ab.0"]));
        }
        "reporter" => {
            let records = ["claimed", "answered", "dropped", "attempted"];
            all.extend(records.map(|record| format!("callback.{record}.x")));
            all.push("dead-message.S.1.1".to_owned());
            all.extend(consuming(Durable::Fetcher));
            all.extend(consuming(Durable::ReporterRunning));
            all.extend(consuming(Durable::ReporterJudged));
            all.extend(consumers().map(info));
            let streams = ["SUB_QUEUED", "SUB_WAITING", "SUB_RESULT", "SUB_DEAD", "DEAD_MESSAGES"];
            all.extend(streams.map(|stream| format!("$JS.API.STREAM.INFO.{stream}")));
            let streams =
                ["SUB_QUEUED", "SUB_READY", "SUB_WAITING", "SUB_RESULT", "SUB_DEAD", "DEAD_MESSAGES"];
            all.extend(streams.map(|stream| format!("$JS.API.DIRECT.GET.{stream}")));
            let ours = SUBJECTS.into_iter().filter(|subject| !subject.starts_with(['b', 'd', 'o']));
            all.extend(ours.map(|subject| format!("$JS.API.DIRECT.GET.SUB_RESULT.{subject}")));
        }
        "deploy" => {
            for stream in Stream::ALL.map(Stream::name) {
                let api = |call: &str| format!("$JS.API.{call}.{stream}");
                let calls = ["INFO", "CREATE", "UPDATE", "SNAPSHOT", "RESTORE"];
                all.extend(calls.map(|call| api(&format!("STREAM.{call}"))));
                all.extend(["ACK", "RESTORE"].map(|step| format!("$JS.SNAPSHOT.{step}.{stream}.x")));
                all.push(format!("$JS.API.CONSUMER.CREATE.{stream}.x.submission.queued.x"));
            }
            all.extend(consumers().map(info));
        }
        "ops" => {
            for stream in Stream::ALL {
                all.push(format!("$JS.API.STREAM.INFO.{}", stream.name()));
                if stream != Stream::Bundles {
                    all.push(format!("$JS.API.DIRECT.GET.{}", stream.name()));
                    all.extend(direct(stream.name(), &SUBJECTS));
                }
            }
            all.extend(consumers().map(info));
            all.extend(
                ["SUB_DEAD", "DEAD_MESSAGES"].map(|stream| format!("$JS.API.STREAM.MSG.DELETE.{stream}")),
            );
            all.push("$JS.API.STREAM.MSG.GET.SUB_RESULT".to_owned());
        }
        _ => {}
    }
    if !matches!(role, "tap" | "deploy" | "ops") {
        all.push(format!("presence.{role}.i"));
    }
    all.push(format!("_INBOX_{role}.x"));
    all
}

fn subscribes(role: &str) -> Vec<String> {
    let own = format!("_INBOX_{role}.>");
    let more: &[&str] = match role {
        "ingress" => &["presence.judge.*"],
        "judge" => &["submission.waiting.>", "presence.judge.*"],
        "tap" | "ops" => {
            &["submission.>", "submission.waiting.>", "submission.judged.*", "presence.>", "presence.judge.*"]
        }
        _ => &[],
    };
    more.iter().map(|&subject| subject.to_owned()).chain([own]).collect()
}

/// The consumer of a language.
const LANGUAGE: ConsumerId = ConsumerId::Language(LanguageId(83));

const SUBJECTS: [&str; 16] = [
    "submission.queued.x",
    "submission.ready.x",
    "submission.waiting.x",
    "submission.expired.x",
    "submission.running.x",
    "submission.judged.x",
    "submission.reported.x",
    "submission.dead.x",
    "submission.rejudged.x",
    "callback.claimed.x",
    "callback.answered.x",
    "callback.dropped.x",
    "callback.attempted.x",
    "dead-message.S.1.1",
    "bundle.1.ab.0",
    "other.x",
];

fn consumers() -> impl Iterator<Item = ConsumerId> {
    Durable::ALL.map(ConsumerId::from).into_iter().chain([LANGUAGE])
}

fn info(consumer: ConsumerId) -> String {
    format!("$JS.API.CONSUMER.INFO.{}.{}", consumer.stream().name(), consumer.name())
}

fn consuming(consumer: impl Into<ConsumerId>) -> Vec<String> {
    let consumer = consumer.into();
    let name = format!("{}.{}", consumer.stream().name(), consumer.name());
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.{name}");
    // The subjects that acknowledge a message of this consumer, in the old format and in the new one.
    let acks = [format!("$JS.ACK.{name}.1.1.1.1.1"), format!("$JS.ACK.domain.account.{name}.1.1.1.1.1.x")];
    [info(consumer), next].into_iter().chain(acks).collect()
}

/// All subjects that the test tries.
fn subjects() -> BTreeSet<String> {
    let mut all: BTreeSet<String> = SUBJECTS.map(str::to_owned).into();
    for role in ROLES {
        all.extend([format!("presence.{role}.i"), format!("_INBOX_{role}.x")]);
        all.extend(publishes(role));
    }
    all.extend(consumers().flat_map(consuming));
    for stream in Stream::ALL.map(Stream::name) {
        let calls =
            ["INFO", "CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE", "MSG.GET", "MSG.DELETE"];
        all.extend(calls.map(|call| format!("$JS.API.STREAM.{call}.{stream}")));
        all.extend(SUBJECTS.map(|subject| format!("$JS.API.DIRECT.GET.{stream}.{subject}")));
        all.insert(format!("$JS.API.DIRECT.GET.{stream}"));
        all.insert(format!("$JS.API.CONSUMER.CREATE.{stream}.x.submission.queued.x"));
        let calls = ["DURABLE.CREATE", "DELETE", "PAUSE", "RESET", "UNPIN"];
        all.extend(calls.map(|call| format!("$JS.API.CONSUMER.{call}.{stream}.x")));
        all.extend(["NAMES", "LIST"].map(|call| format!("$JS.API.CONSUMER.{call}.{stream}")));
    }
    let others = [
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.ACCOUNT.PURGE.JUDGE",
        "$JS.API.META.LEADER.STEPDOWN",
        "$SYS.REQ.USER.INFO",
        "$SYS.REQ.ACCOUNT.PING.CONNZ",
        "$SYS.REQ.SERVER.PING",
        "_INBOX.x",
        "_R_.x",
        "submission.queued.x.2",
        "submission.queued",
        "presence.judge",
    ];
    all.extend(others.map(str::to_owned));
    // Later generations use the same subjects, but do not come from the ingress.
    all.remove("submission.queued.x.2");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn role_may_publish_only_what_it_needs() {
    let deployed = Deployed::start().await;
    for name in ROLES {
        let role = deployed.as_role(name).await;
        let allowed: BTreeSet<String> = publishes(name).into_iter().collect();
        for subject in subjects() {
            // If it succeeded, it would break the attempts after it.
            if name == "deploy" && (subject.contains(".CREATE.") || subject.contains(".UPDATE.")) {
                assert!(allowed.contains(&subject) || !role.may_publish(&subject).await, "{name}: {subject}");
                continue;
            }
            assert_eq!(role.may_publish(&subject).await, allowed.contains(&subject), "{name}: {subject}");
        }
    }
    let ingress = deployed.as_role("ingress").await;
    assert!(!ingress.may_publish("submission.queued.x.2").await, "a later generation is not for the outside");
    assert!(deployed.as_role("ops").await.may_publish("submission.queued.x.2").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn role_may_subscribe_only_to_what_it_needs() {
    let deployed = Deployed::start().await;
    let others = [
        ">",
        "*.*.*",
        "submission.>",
        "submission.judged.*",
        "submission.waiting.>",
        "submission.*.x",
        "callback.>",
        "bundle.>",
        "bundle.1.ab.0",
        "presence.>",
        "presence.judge.*",
        "_INBOX.>",
        "_INBOX_*.>",
        "*.>",
        "_R_.>",
        "$JS.>",
        "$JS.API.>",
        "$JS.ACK.>",
        "$JS.EVENT.ADVISORY.>",
        "$SYS.>",
    ];
    let mut subjects: BTreeSet<String> = others.map(str::to_owned).into();
    subjects.extend(ROLES.map(|role| format!("_INBOX_{role}.>")));
    for name in ROLES {
        let role = deployed.as_role(name).await;
        let allowed: BTreeSet<String> = subscribes(name).into_iter().collect();
        for subject in &subjects {
            // Part of a wider subject that the role may subscribe to.
            let is_part = subject == "submission.*.x" && allowed.contains("submission.>");
            assert_eq!(
                role.may_subscribe(subject).await,
                allowed.contains(subject) || is_part,
                "{name}: {subject}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_requires_known_key_and_tls() {
    let deployed = Deployed::start().await;
    let ca = deployed.keys.path().join("ca.pem");
    let trusting = || async_nats::ConnectOptions::new().add_root_certificates(ca.clone());
    assert!(trusting().connect(deployed.url()).await.is_err(), "without a key");
    let (stranger, _) = gavel_bus::identity::new_user();
    let with_key = trusting().nkey(stranger.expose().to_owned());
    assert!(with_key.connect(deployed.url()).await.is_err(), "with a stranger's key");
    let seed = std::fs::read_to_string(deployed.keys.path().join("judge.nk")).unwrap();
    let distrusting = async_nats::ConnectOptions::with_nkey(seed.trim().to_owned());
    assert!(distrusting.connect(deployed.url()).await.is_err(), "the server certificate is not trusted");
    // Plain text: the server sends INFO, and then accepts only TLS.
    let mut plain = tokio::net::TcpStream::connect(("127.0.0.1", deployed.server.port())).await.unwrap();
    let mut said = Vec::new();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"CONNECT {}\r\nPING\r\n").await.unwrap();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut said);
    let _ = tokio::time::timeout(TEST_TIMEOUT, reading).await.unwrap();
    assert!(!String::from_utf8_lossy(&said).contains("PONG"));
}
