//! Waiting and holding: told, not timed.

use std::time::Duration;

use gavel_mock_convex::{Endpoint, Status};

use crate::support::{PATIENCE, Rig, passed, running};

#[tokio::test]
async fn a_held_answer_has_had_its_effect() {
    let rig = Rig::start().await;
    let hold = rig.mock_convex.hold(Endpoint::RESULT);
    let first = tokio::spawn(rig.request(Endpoint::RESULT.path()).json(&passed("s1")).send());
    let second = tokio::spawn(rig.request(Endpoint::RESULT.path()).json(&passed("s2")).send());
    hold.wait_arrived(2, PATIENCE).await.unwrap();
    assert_eq!(rig.mock_convex.finals(), 2);
    assert!(rig.mock_convex.calls().iter().all(|call| call.answer().is_none()));
    // The other endpoints go on.
    assert_eq!(rig.post(Endpoint::RUNNING, &running("s3")).await.0, 200);
    hold.let_through(1);
    rig.mock_convex
        .wait_for("one answer", PATIENCE, |s| {
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
async fn waits_end_with_the_event_or_with_what_was_there_instead() {
    let rig = Rig::start().await;
    let ids: Vec<String> = (0..20).map(|i| format!("s{i}")).collect();
    let (mock_convex, all) = (rig.mock_convex.clone(), ids.clone());
    let waiting = tokio::spawn(async move { mock_convex.wait_all_final(&all, PATIENCE).await });
    for id in &ids {
        rig.post(Endpoint::RUNNING, &running(id)).await;
        rig.post(Endpoint::RESULT, &passed(id)).await;
    }
    waiting.await.unwrap().unwrap();
    rig.mock_convex.wait_finals(20, PATIENCE).await.unwrap();
    rig.mock_convex.wait_calls(None, 40, PATIENCE).await.unwrap();

    rig.post(Endpoint::RUNNING, &running("late")).await;
    let error = rig.mock_convex.wait_final("late", Duration::from_millis(20)).await.unwrap_err();
    assert!(error.to_string().contains("status: Running"), "{error}");
    let error = rig.mock_convex.wait_finals(21, Duration::from_millis(20)).await.unwrap_err();
    assert!(error.to_string().contains("20 of 21 submissions final"), "{error}");
}

#[tokio::test]
async fn a_shutdown_cuts_what_hangs_and_keeps_the_record() {
    let rig = Rig::start().await;
    let hold = rig.mock_convex.hold_before(Endpoint::RUNNING);
    let sent = tokio::spawn(rig.request(Endpoint::RUNNING.path()).json(&running("s1")).send());
    hold.wait_arrived(1, PATIENCE).await.unwrap();
    rig.mock_convex.shutdown().await;
    assert!(sent.await.unwrap().is_err());
    assert_eq!(rig.mock_convex.call_count(Endpoint::RUNNING), 1);
    assert!(rig.try_post(Endpoint::RESULT, &passed("s1")).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn the_last_handle_ends_it() {
    let rig = Rig::start().await;
    let other = rig.mock_convex.clone();
    let address = other.address();
    drop(rig);
    assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    assert_eq!(other.submission("s1").map(|s| s.status), None::<Status>);
    drop(other);
    // The listener closes on the server's own task; binding the port anew says when.
    let mut tries = 0;
    while tokio::net::TcpListener::bind(address).await.is_err() {
        tries += 1;
        assert!(tries < 10_000, "the port is still taken");
        tokio::task::yield_now().await;
    }
}
