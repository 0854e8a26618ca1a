//! Waits and holds.

use std::time::Duration;

use gavel_mock_convex::{Endpoint, Status};

use crate::rig::{Rig, TIMEOUT, passed, running};

#[tokio::test]
async fn held_answer_is_already_applied() {
    let rig = Rig::start().await;
    let hold = rig.convex.hold(Endpoint::RESULT);
    let first = tokio::spawn(rig.request(Endpoint::RESULT.path()).json(&passed("s1")).send());
    let second = tokio::spawn(rig.request(Endpoint::RESULT.path()).json(&passed("s2")).send());
    hold.wait_arrived(2, TIMEOUT).await.unwrap();
    assert_eq!(rig.convex.final_count(), 2);
    assert!(rig.convex.calls().iter().all(|call| call.answer().is_none()));
    // The other endpoints go on.
    assert_eq!(rig.post(Endpoint::RUNNING, &running("s3")).await.0, 200);
    hold.let_through(1);
    rig.convex
        .wait_for("one answer", TIMEOUT, |s| {
            let results = s.calls().into_iter().filter(|call| call.endpoint == Endpoint::RESULT);
            (results.filter(|call| call.answer().is_some()).count() == 1).then_some(())
        })
        .await
        .unwrap();
    hold.release();
    for sent in [first, second] {
        assert_eq!(sent.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(rig.post(Endpoint::RESULT, &passed("s1")).await.0, 200);
}

#[tokio::test]
async fn wait_returns_on_event_or_reports_state() {
    let rig = Rig::start().await;
    let ids: Vec<String> = (0..20).map(|i| format!("s{i}")).collect();
    let (convex, all) = (rig.convex.clone(), ids.clone());
    let waiting = tokio::spawn(async move { convex.wait_all_final(&all, TIMEOUT).await });
    for id in &ids {
        rig.post(Endpoint::RUNNING, &running(id)).await;
        rig.post(Endpoint::RESULT, &passed(id)).await;
    }
    waiting.await.unwrap().unwrap();
    rig.convex.wait_final_count(20, TIMEOUT).await.unwrap();
    rig.convex.wait_calls(None, 40, TIMEOUT).await.unwrap();

    rig.post(Endpoint::RUNNING, &running("late")).await;
    let error = rig.convex.wait_final("late", Duration::from_millis(20)).await.unwrap_err();
    assert!(error.to_string().contains("status: Running"), "{error}");
    let error = rig.convex.wait_final_count(21, Duration::from_millis(20)).await.unwrap_err();
    assert!(error.to_string().contains("20 of 21 submissions final"), "{error}");
}

#[tokio::test]
async fn shutdown_resets_held_calls_and_keeps_the_record() {
    let rig = Rig::start().await;
    let hold = rig.convex.hold_before(Endpoint::RUNNING);
    let sent = tokio::spawn(rig.request(Endpoint::RUNNING.path()).json(&running("s1")).send());
    hold.wait_arrived(1, TIMEOUT).await.unwrap();
    rig.convex.shutdown().await;
    assert!(sent.await.unwrap().is_err());
    assert_eq!(rig.convex.call_count(Endpoint::RUNNING), 1);
    assert!(rig.try_post(Endpoint::RESULT, &passed("s1")).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn last_handle_stops_the_server() {
    let rig = Rig::start().await;
    let other = rig.convex.clone();
    let address = other.address();
    drop(rig);
    assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    assert_eq!(other.submission("s1").map(|s| s.status), None::<Status>);
    drop(other);
    // The listener closes on the server's own task; binding the port again shows when.
    let mut tries = 0;
    while tokio::net::TcpListener::bind(address).await.is_err() {
        tries += 1;
        assert!(tries < 10_000, "the port is still taken");
        tokio::task::yield_now().await;
    }
}
