//! A Judge0 that is away, and one that refuses us.

use gavel_judge0::{Fault, Judge0, Judge0Config, Progress, State};
use gavel_testkit::Judge0Double;
use gavel_testkit::judge0::{Fault as Wrong, Route, Settings};

use crate::support::{PATIENCE, config, pace, pair, question, run};

async fn until(judge0: &Judge0, is: impl Fn(&State) -> bool) -> State {
    let mut states = judge0.breaker().watch();
    tokio::time::timeout(PATIENCE, states.wait_for(|state| is(state))).await.unwrap().unwrap().clone()
}

#[tokio::test]
async fn a_dead_judge0_opens_it_and_one_that_comes_back_closes_it() {
    let double = Judge0Double::start(Settings::default()).await;
    let address = double.address();
    let judge0 = Judge0::start(&config(double.url()), pace()).unwrap();
    assert_eq!(run(&judge0, "echo", &question(1)).await.1, Ok(Progress::Ran));
    // Its port is free once its task is gone: a runtime drops what it aborts.
    double.stop().await;
    let (_, ended) = run(&judge0, "echo", &question(1)).await;
    let Err(Fault::Unavailable { cause, .. }) = ended else { panic!("{ended:?}") };
    assert!(cause.starts_with("Judge0 is away: Judge0 cannot be reached"), "{cause}");
    let works = judge0.breaker().works();
    assert!(!*works.borrow());
    // While it is open nothing is tried.
    assert!(matches!(run(&judge0, "echo", &question(1)).await.1, Err(Fault::Unavailable { .. })));
    let _double = Judge0Double::start_at(address, Settings::default()).await;
    until(&judge0, |state| *state == State::Closed).await;
    assert_eq!(run(&judge0, "echo", &question(1)).await.1, Ok(Progress::Ran));
}

#[tokio::test]
async fn a_judge0_that_is_not_there_at_the_start_is_waited_for() {
    let gone = Judge0Double::start(Settings::default()).await;
    let (address, url) = (gone.address(), gone.url());
    gone.stop().await;
    let judge0 = Judge0::start(&config(url), pace()).unwrap();
    until(&judge0, |state| matches!(state, State::Open(_))).await;
    let _double = Judge0Double::start_at(address, Settings::default()).await;
    until(&judge0, |state| *state == State::Closed).await;
    assert_eq!(run(&judge0, "echo", &question(1)).await.1, Ok(Progress::Ran));
}

#[tokio::test]
async fn what_is_in_hand_when_it_opens_is_handed_back_at_once() {
    let (double, judge0) = pair(Settings::default(), pace()).await;
    double.fault(Route::GetBatch, None, Wrong::Page(502));
    let (shown, ended) = run(&judge0, "echo", &question(3)).await;
    assert!(shown.is_empty() && matches!(ended, Err(Fault::Unavailable { .. })), "{ended:?}");
    let looks = double.call_count(Route::GetBatch);
    assert!(looks < 20, "a dead Judge0 is left alone: {looks} calls");
    double.heal();
    until(&judge0, |state| *state == State::Closed).await;
    assert_eq!(run(&judge0, "echo", &question(3)).await.1, Ok(Progress::Ran));
}

#[tokio::test]
async fn a_wrong_key_is_said_plainly_and_burns_nothing() {
    let double = Judge0Double::start(Settings { keys: vec!["right".into()], ..Settings::default() }).await;
    let wrong = Judge0Config { api_key: Some("wrong".into()), ..config(double.url()) };
    let judge0 = Judge0::start(&wrong, pace()).unwrap();
    let (_, ended) = run(&judge0, "echo", &question(1)).await;
    let Err(Fault::Unavailable { cause, .. }) = ended else { panic!("{ended:?}") };
    assert!(cause.contains("status 401") && cause.contains("JUDGE0_API_KEY"), "{cause}");
    assert_eq!(judge0.breaker().state(), State::Denied(401));
    let posts = double.call_count(Route::PostBatch);
    assert_eq!(posts, 1, "a refusal is not tried again");
    assert!(matches!(run(&judge0, "echo", &question(1)).await.1, Err(Fault::Unavailable { .. })));
    // Judge0's configuration, which anybody may read, does not close it: the key must be good.
    double.wait_calls(Route::Config, 4, PATIENCE).await;
    assert_eq!(judge0.breaker().state(), State::Denied(401));
    assert_eq!(double.call_count(Route::PostBatch), posts);
    double.set_keys(&["right", "wrong"]);
    until(&judge0, |state| *state == State::Closed).await;
    assert_eq!(run(&judge0, "echo", &question(1)).await.1, Ok(Progress::Ran));
}

#[tokio::test]
async fn the_key_and_the_headers_go_with_each_call() {
    let double = Judge0Double::start(Settings { keys: vec!["k".into()], ..Settings::default() }).await;
    let headers = vec![("X-RapidAPI-Key".into(), "a=b".into()), ("X-RapidAPI-Host".into(), "h".into())];
    let judge0 =
        Judge0::start(&Judge0Config { api_key: Some("k".into()), headers, ..config(double.url()) }, pace());
    assert_eq!(run(&judge0.unwrap(), "echo", &question(1)).await.1, Ok(Progress::Ran));
    for call in double.calls() {
        for (name, value) in [("x-auth-token", "k"), ("x-rapidapi-key", "a=b"), ("x-rapidapi-host", "h")] {
            assert!(call.headers.contains(&(name.to_owned(), value.to_owned())), "{call:?}");
        }
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused_and_keys_do_not_show() {
    for url in ["", "localhost:2358", "ftp://x", "http://x/?a=b", "http://u:p@x"] {
        assert!(gavel_judge0::Client::new(&config(url.to_owned())).is_err(), "{url}");
    }
    let bad = Judge0Config { api_key: Some("a\nb".into()), ..config("http://x".into()) };
    assert!(!gavel_judge0::Client::new(&bad).unwrap_err().to_string().contains("a\nb"));
    let config =
        Judge0Config { api_key: Some("hush".into()), headers: vec![("X".into(), "hush".into())], ..bad };
    assert!(!format!("{config:?}").contains("hush"));
}
