//! Redirected replies. A client that sends a request names the reply subject, and the server publishes the reply there
//! without checking that user's permissions. The same is true of message traces.

use gavel_bus::topology::Stream;
use gavel_testkit::TEST_TIMEOUT;

use super::{Deployed, Role, header};

/// The verdict subject of the submission under attack.
const SLOT: &str = "submission.judged.victim";

/// Returns once the server has processed everything sent before.
async fn settled(ingress: &Role, id: &str) {
    let answer = ingress.client.request(format!("submission.queued.{id}"), "x".into()).await.unwrap();
    assert!(answer.payload.starts_with(b"{\"stream\":\"SUB_QUEUED\""), "{:?}", answer.payload);
}

#[tokio::test(flavor = "multi_thread")]
async fn ingress_cannot_store_a_verdict_through_its_ack_reply_subject() {
    let deployed = Deployed::start().await;
    let ingress = deployed.as_role("ingress").await;
    ingress.client.publish_with_reply("submission.queued.a", SLOT, "x".into()).await.unwrap();
    let mut headers = header("Nats-Expected-Last-Subject-Sequence", "7");
    headers.insert("Nats-Trace-Dest", "_INBOX_ingress.trace");
    let request =
        ingress.client.publish_with_reply_and_headers("submission.queued.b", SLOT, headers, "x".into());
    request.await.unwrap();
    settled(&ingress, "c").await;
    assert!(deployed.holds(Stream::Queued, "submission.queued.a").await);
    assert!(
        !deployed.holds(Stream::Queued, "submission.queued.b").await,
        "it was refused, and the refusal went"
    );
    assert!(!deployed.holds(Stream::Result, SLOT).await);
    assert!(ingress.refused().await.is_empty(), "the server has no objection: it is the account that helps");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_trace_goes_only_where_its_sender_may_publish() {
    let deployed = Deployed::start().await;
    // Each with a subject that it may publish on, and one that it may not. A reporter may publish verdicts.
    for (name, subject, destination) in [
        ("ingress", "submission.queued.a", SLOT),
        ("tap", "_INBOX_tap.x", SLOT),
        ("reporter", "submission.reported.a", "submission.ready.victim"),
        ("deploy", "_INBOX_deploy.x", SLOT),
    ] {
        let role = deployed.as_role(name).await;
        let headers = header("Nats-Trace-Dest", destination);
        role.client.publish_with_headers(subject, headers, "x".into()).await.unwrap();
        let refused = role.refused().await;
        assert!(refused.len() == 1 && refused[0].contains(destination), "{name}: {refused:?}");
    }
    settled(&deployed.as_role("ingress").await, "b").await;
    assert!(!deployed.holds(Stream::Result, SLOT).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tap_cannot_direct_replies_to_another_role() {
    let deployed = Deployed::start().await;
    let tap = deployed.as_role("tap").await;
    let asks = [
        "$JS.API.DIRECT.GET.SUB_QUEUED.submission.queued.a",
        "$JS.API.STREAM.INFO.SUB_QUEUED",
        "$JS.API.CONSUMER.MSG.NEXT.SUB_RESULT.reporter-judged",
        "submission.queued.a",
    ];
    for subject in asks {
        tap.client.publish_with_reply(subject, SLOT, "{}".into()).await.unwrap();
        let refused = tap.refused().await;
        assert!(refused.len() == 1 && refused[0].contains(subject), "{refused:?}");
    }
    // Its messages reach only itself. Not even the "no responders" status reaches another role.
    tap.client.publish_with_reply("_INBOX_tap.x", SLOT, "x".into()).await.unwrap();
    assert!(tap.refused().await.is_empty());
    settled(&deployed.as_role("ingress").await, "b").await;
    assert!(!deployed.holds(Stream::Result, SLOT).await);
}

/// The ingress has a separate account, so it cannot do this. Services that share an account still can, as
/// `docs/security.md` explains.
#[tokio::test(flavor = "multi_thread")]
async fn service_can_still_direct_a_reply_where_it_may_not_publish() {
    let deployed = Deployed::start().await;
    let judge = deployed.as_role("judge").await;
    let stored = judge.client.request("submission.running.a", "x".into()).await.unwrap();
    assert!(stored.payload.starts_with(b"{\"stream\":\"SUB_RESULT\""), "{:?}", stored.payload);
    assert!(!judge.may_publish("submission.reported.victim").await);
    let ask = "$JS.API.DIRECT.GET.SUB_RESULT.submission.running.a";
    judge.client.publish_with_reply(ask, "submission.reported.victim", "".into()).await.unwrap();
    gavel_testkit::wait_until("the answer that went astray", TEST_TIMEOUT, async || {
        deployed.holds(Stream::Result, "submission.reported.victim").await
    })
    .await
    .unwrap();
}
