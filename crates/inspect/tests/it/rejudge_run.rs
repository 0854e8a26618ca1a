//! Which submissions a run leaves for the same command.

use std::time::{Duration, SystemTime};

use gavel_bus::topology::{Stream, TopologySettings};
use gavel_domain::event::{Queued, RejudgeRun, Rejudged, Stage};
use gavel_domain::time::epoch_ms;
use gavel_domain::{Generation, Submission, SubmissionId};
use gavel_inspect::{Rejudger, Since};
use gavel_testkit::fixtures::{queued, submission};
use gavel_testkit::{Rig, rig};

const AGE: Duration = Duration::from_hours(1);

/// Stores the record and the first event of the second generation.
async fn rejudge(rig: &Rig, id: &str, run: RejudgeRun) {
    let generation = Generation::new(2).unwrap();
    let accepted_at_ms = run.began_at_ms + 1;
    let submission = Submission { generation, accepted_at_ms, ..submission(id) };
    let (by, reason) = ("the test".to_owned(), "corrected".to_owned());
    let record =
        Rejudged { submission: submission.clone(), from: Stage::Fetcher, by, reason, run: Some(run) };
    rig.publish(&record).await;
    rig.publish(&Queued { submission, ..queued(id) }).await;
}

/// An age reaches less far back when the command is run again.
#[tokio::test]
async fn continued_run_keeps_its_range() {
    let rig = Rig::start().await;
    let now = SystemTime::now();
    let run = RejudgeRun {
        began_at_ms: epoch_ms(now),
        since_ms: epoch_ms(now) - epoch_ms(SystemTime::UNIX_EPOCH + AGE),
        last_queued: 2,
    };
    // The clock of the ingress is ahead of the operator's.
    for id in ["left", "done"] {
        let mut event = queued(id);
        event.submission.accepted_at_ms = run.began_at_ms + 60_000;
        rig.publish(&event).await;
    }
    let both_queued = SystemTime::now() + Duration::from_millis(5);
    tokio::time::sleep(Duration::from_millis(10)).await;
    rejudge(&rig, "done", run).await;
    assert_eq!(rig.jetstream.message_count(Stream::Queued).await, 3);

    let bus = rig::connect(&rig.nats, TopologySettings::default()).await;
    bus.connection().wait_connected().await;
    let rejudger = Rejudger::new(bus, "the test".to_owned(), Duration::ZERO);
    let question = submission("left").question_id;
    let plan =
        async |since, reason| rejudger.plan_run(&question, since, reason, both_queued + AGE).await.unwrap();
    // Only the second generation of "done" was queued in the last hour by now.
    let continued = plan(Since::Age(AGE), "corrected").await;
    assert_eq!((continued.run, continued.done), (run, 1));
    assert_eq!(continued.left, [SubmissionId::new("left").unwrap()]);
    for (since, reason) in [
        (Since::Age(AGE), "another"),
        (Since::Age(AGE * 2), "corrected"),
        (Since::Time(SystemTime::UNIX_EPOCH), "corrected"),
    ] {
        let other = plan(since, reason).await;
        assert!(other.run != run && other.done == 0, "{since:?} {other:?}");
    }
}
