//! Judges with different languages in one line: a submission reaches one that serves its language.

use gavel_bus::HEARTBEAT_INTERVAL;
use gavel_bus::topology::{self, Stream};
use gavel_domain::event::{HandedOn, Ready, Waiting};
use gavel_domain::heartbeat::{Heartbeat, ServedLanguage};
use gavel_domain::{LanguageId, Status};
use gavel_testkit::{LogLine, Process, ServiceProcess, TEST_TIMEOUT, fixtures, wait_until};

use crate::rig::Rig;

/// Not in the sandbox's table, so only a judge with [`SHELL`] serves it.
const SCALA: LanguageId = LanguageId(81);

/// An id that Judge0 does not know.
const OF_THE_OPERATOR: LanguageId = LanguageId(4711);

/// Serves the id of Scala with a shell.
const SHELL: &str = r#"
[[language]]
ids = [81]
name = "Shell"
toolchain = "/bin/sh"
version = ["/bin/echo", "0.5"]
source = "main.sh"
run = ["/bin/sh", "/box/program/main.sh"]
"#;

/// A file with an additional language, while it lives.
fn shell() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SHELL).unwrap();
    file
}

/// Starts a judge that serves the id of Scala.
async fn scala_judge(rig: &Rig, name: &str, file: &tempfile::NamedTempFile) -> ServiceProcess {
    let builder = rig.builder().env("SANDBOX_LANGUAGES", file.path().to_str().unwrap());
    ServiceProcess::start(builder.env("INSTANCE", name)).await
}

async fn other_judge(rig: &Rig, name: &str) -> ServiceProcess {
    ServiceProcess::start(rig.builder().env("INSTANCE", name)).await
}

/// Announces a judge that serves this language and takes nothing, for as long as the future is polled.
async fn announce(rig: &Rig, language: LanguageId) {
    let served = ServedLanguage {
        id: language,
        name: "of the operator".to_owned(),
        version: String::new(),
        engine: "sandbox".to_owned(),
    };
    let heartbeat = Heartbeat {
        service: "judge".to_owned(),
        instance: "with".to_owned(),
        version: "1".to_owned(),
        started_at_ms: 1,
        slots: 1,
        busy: 0,
        languages: vec![served],
        dependencies: Vec::new(),
        problems: Vec::new(),
    };
    let mut ticks = tokio::time::interval(HEARTBEAT_INTERVAL);
    loop {
        ticks.tick().await;
        rig.bus.send_heartbeat(&heartbeat).await.unwrap();
    }
}

async fn is_waiting(rig: &Rig, language: LanguageId, id: &str) -> bool {
    let stream = rig.jetstream.context.get_stream_no_info(Stream::Waiting.name()).await.unwrap();
    stream.get_last_raw_message_by_subject(&topology::waiting(language, id)).await.is_ok()
}

async fn until_waiting(rig: &Rig, language: LanguageId, id: &str) {
    let is_waiting = async || is_waiting(rig, language, id).await;
    wait_until("the waiting event", TEST_TIMEOUT, is_waiting).await.unwrap();
}

/// How many messages the stream has, with the probes of judges.
async fn count_waiting(rig: &Rig) -> u64 {
    let stream = rig.jetstream.context.get_stream(Stream::Waiting.name()).await.unwrap();
    stream.cached_info().state.messages
}

async fn set_max_waiting(rig: &Rig, max_messages: i64) {
    set_waiting_limits(rig, max_messages, -1).await;
}

/// -1 stands for no limit.
async fn set_waiting_limits(rig: &Rig, max_messages: i64, max_bytes: i64) {
    let context = &rig.jetstream.context;
    let mut config = context.get_stream(Stream::Waiting.name()).await.unwrap().cached_info().config.clone();
    (config.max_messages, config.max_bytes) = (max_messages, max_bytes);
    context.update_stream(config).await.unwrap();
}

fn count(judge: &Process, text: &str, id: &str) -> usize {
    judge.log().iter().filter(|line: &&LogLine| line.contains(text) && line.contains(id)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_waits_for_a_judge_that_serves_its_language() {
    let (rig, file) = (Rig::start().await, shell());
    let _other = other_judge(&rig, "without").await;
    let end = rig.watch("s").await;
    rig.ready_in(SCALA, "s", rig.question().await, "cat").await;
    until_waiting(&rig, SCALA, "s").await;
    // The other judge goes on meanwhile.
    let python = rig.watch("p").await;
    rig.ready("p", rig.question().await, "print(input())").await;
    let python = python.await.judged;
    assert_eq!((python.verdict.status, python.instance.as_str()), (Status::Passed, "without"));
    let _judge = scala_judge(&rig, "with", &file).await;
    let end = end.await;
    let assignment = end.judged.assignment.unwrap();
    assert_eq!((end.judged.verdict.status, end.judged.instance.as_str()), (Status::Passed, "with"));
    assert_eq!((assignment.attempts, assignment.handed_on_by.as_deref()), (1, Some("without")));
    assert_eq!(end.dead, None);
    wait_until("the acknowledgement", TEST_TIMEOUT, async || !is_waiting(&rig, SCALA, "s").await)
        .await
        .unwrap();
}

/// Whichever judge takes a submission first, one that serves its language judges it, and at once.
#[tokio::test(flavor = "multi_thread")]
async fn judges_with_different_languages_share_a_line() {
    let (rig, file) = (Rig::start().await, shell());
    let (_first, _second) = (other_judge(&rig, "without").await, scala_judge(&rig, "with", &file).await);
    let question = rig.question().await;
    let mut ends = Vec::new();
    for n in 0..12 {
        let (language, source) = if n % 2 == 0 { (SCALA, "cat") } else { (LanguageId(71), "print(input())") };
        let id = format!("s{n}");
        ends.push((language, rig.watch(&id).await));
        rig.ready_in(language, &id, question.clone(), source).await;
    }
    for (language, end) in ends {
        let judged = end.await.judged;
        assert_eq!(judged.verdict.status, Status::Passed);
        assert!(language != SCALA || judged.instance == "with");
        assert!(judged.assignment.unwrap().attempts == 1);
        // Far less than the time between two looks.
        assert!(judged.duration_ms < 60_000, "{} ms", judged.duration_ms);
    }
}

/// The judge was killed between publishing and acknowledging: the ready event is delivered again.
#[tokio::test(flavor = "multi_thread")]
async fn submission_that_is_handed_on_twice_is_judged_once() {
    let (rig, file) = (Rig::start().await, shell());
    let bundle = rig.question().await;
    let handed_on = HandedOn { by: "killed".to_owned(), ready_at_ms: 1 };
    let submission = gavel_domain::Submission { language: SCALA, ..fixtures::submission("s") };
    let ready = Ready { submission, source: "cat".to_owned(), bundle, renewals: 0, handed_on: None };
    let waiting = Waiting { ready: Ready { handed_on: Some(handed_on), ..ready.clone() } };
    rig.publish(&waiting).await;
    rig.publish(&ready).await;
    let other = other_judge(&rig, "without").await;
    let handed_on = |line: &LogLine| line.contains("handed on") && line.contains("\"s\"");
    other.wait_log("the handing on", TEST_TIMEOUT, handed_on).await.unwrap();
    rig.jetstream.wait_idle(topology::Durable::Judge).await;
    let end = rig.watch("s").await;
    let judge = scala_judge(&rig, "with", &file).await;
    let judged = end.await.judged;
    assert_eq!(judged.assignment.unwrap().handed_on_by.as_deref(), Some("killed"));
    wait_until("the acknowledgement", TEST_TIMEOUT, async || !is_waiting(&rig, SCALA, "s").await)
        .await
        .unwrap();
    assert_eq!(count(&judge, "\"judged\"", "\"s\""), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_of_a_killed_judge_goes_to_another_with_its_language() {
    let (rig, file) = (Rig::start().await, shell());
    let _other = other_judge(&rig, "without").await;
    let end = rig.watch("s").await;
    rig.ready_in(SCALA, "s", rig.question().await, "sleep 3; cat").await;
    until_waiting(&rig, SCALA, "s").await;
    let first = scala_judge(&rig, "first", &file).await;
    let is_running = async || {
        let stream = rig.jetstream.context.get_stream_no_info(Stream::Result.name()).await.unwrap();
        stream.direct_get_last_for_subject("submission.running.s").await.is_ok()
    };
    wait_until("the run", TEST_TIMEOUT, is_running).await.unwrap();
    first.kill().await.unwrap();
    let _second = scala_judge(&rig, "second", &file).await;
    let judged = end.await.judged;
    assert_eq!((judged.verdict.status, judged.instance.as_str()), (Status::Passed, "second"));
    assert_eq!(judged.assignment.unwrap().attempts, 2);
}

/// Fills the stream of waiting submissions with one. Its limit is set while it has no probe of a judge, which is so for half of
/// the time: a probe that is stored before the update stays in the way.
async fn fill_with_scala(rig: &Rig) {
    rig.ready_in(SCALA, "first", rig.question().await, "cat").await;
    until_waiting(rig, SCALA, "first").await;
    let is_full = async || {
        if count_waiting(rig).await > 1 {
            return false;
        }
        set_max_waiting(rig, 1).await;
        let has_probe = count_waiting(rig).await > 1;
        if has_probe {
            set_max_waiting(rig, 10).await;
        }
        !has_probe
    };
    wait_until("a stream with one message", TEST_TIMEOUT, is_full).await.unwrap();
}

/// Submissions can fill the stream of those that wait. The next one comes back later, perhaps to a judge with its language,
/// and holds up no other until then.
#[tokio::test(flavor = "multi_thread")]
async fn submission_comes_back_while_too_many_wait() {
    let rig = Rig::start().await;
    let judge = async {
        let judge =
            ServiceProcess::start(rig.builder().env("INSTANCE", "without").env("JUDGE_SLOTS", "1")).await;
        fill_with_scala(&rig).await;
        rig.ready_in(SCALA, "second", rig.question().await, "cat").await;
        let is_refused = async || count(&judge, "the stream is full", "second") > 0;
        wait_until("the refusal", TEST_TIMEOUT, is_refused).await.unwrap();
        let python = rig.watch("p").await;
        rig.ready("p", rig.question().await, "print(input())").await;
        assert_eq!(python.await.judged.verdict.status, Status::Passed);
        assert!(!is_waiting(&rig, SCALA, "second").await);
        set_max_waiting(&rig, 10).await;
        until_waiting(&rig, SCALA, "second").await;
    };
    tokio::select! {
        () = judge => {}
        () = announce(&rig, SCALA) => unreachable!(),
    }
}

/// A judge that was started just now cannot tell that no other judge serves the language.
#[tokio::test(flavor = "multi_thread")]
async fn submission_comes_back_from_a_judge_that_has_not_heard_the_others() {
    let rig = Rig::start().await;
    set_waiting_limits(&rig, -1, 1).await;
    rig.ready_in(SCALA, "s", rig.question().await, "cat").await;
    let judge = ServiceProcess::start(rig.builder().env("INSTANCE", "without")).await;
    let is_refused = async || count(&judge, "the stream is full", "s") > 0;
    wait_until("the refusal", TEST_TIMEOUT, is_refused).await.unwrap();
    set_waiting_limits(&rig, -1, -1).await;
    until_waiting(&rig, SCALA, "s").await;
}

/// It does not come back for ever.
#[tokio::test(flavor = "multi_thread")]
async fn submission_ends_with_an_error_in_its_last_delivery_if_too_many_wait() {
    let rig = Rig::start().await;
    let judge = async {
        let builder = rig.builder().env("INSTANCE", "without").env("JUDGE_MAX_DELIVERIES", "2");
        let judge = ServiceProcess::start(builder).await;
        fill_with_scala(&rig).await;
        let end = rig.watch("second").await;
        rig.ready_in(SCALA, "second", rig.question().await, "cat").await;
        let end = end.await;
        assert_eq!(count(&judge, "the stream is full", "second"), 2);
        end
    };
    let end = tokio::select! {
        end = judge => end,
        () = announce(&rig, SCALA) => unreachable!(),
    };
    assert_eq!(end.judged.verdict.reason.as_deref(), Some("Scala is not available on this judge."));
    assert_eq!(end.judged.assignment.unwrap().attempts, 2);
    assert!(is_waiting(&rig, SCALA, "first").await && end.dead.is_none());
}

/// Those in a language that no judge serves do not keep the others from waiting.
#[tokio::test(flavor = "multi_thread")]
async fn unserved_languages_fill_half_of_the_stream_of_waiting_submissions() {
    let rig = Rig::start().await;
    set_max_waiting(&rig, 4).await;
    let judge = async {
        let _judge = other_judge(&rig, "without").await;
        for id in ["a", "b"] {
            rig.ready_in(SCALA, id, rig.question().await, "cat").await;
            until_waiting(&rig, SCALA, id).await;
        }
        let end = rig.watch("c").await;
        rig.ready_in(SCALA, "c", rig.question().await, "cat").await;
        let verdict = end.await.judged.verdict;
        assert_eq!(verdict.reason.as_deref(), Some("Scala is not available on this judge."));
        rig.ready_in(OF_THE_OPERATOR, "d", rig.question().await, "cat").await;
        until_waiting(&rig, OF_THE_OPERATOR, "d").await;
    };
    tokio::select! {
        () = judge => {}
        () = announce(&rig, OF_THE_OPERATOR) => unreachable!(),
    }
}

/// A judge that has just started does not know yet what the others serve.
#[tokio::test(flavor = "multi_thread")]
async fn submission_in_a_language_of_the_operator_waits_for_the_heartbeats_of_other_judges() {
    let rig = Rig::start().await;
    rig.ready_in(OF_THE_OPERATOR, "s", rig.question().await, "cat").await;
    let judge = async {
        let _judge = other_judge(&rig, "without").await;
        until_waiting(&rig, OF_THE_OPERATOR, "s").await;
    };
    tokio::select! {
        () = judge => {}
        () = announce(&rig, OF_THE_OPERATOR) => unreachable!(),
    }
}
