//! The users of the deployment on a test's server.

use async_nats::ConnectOptions;
use gavel_testkit::{NatsServer, TEST_TIMEOUT, wait_until};

#[tokio::test]
async fn server_reports_what_a_role_may_not_do() {
    let server = NatsServer::builder().with_roles().start().await;
    let login = server.login("judge");
    let seed = login.iter().find(|(name, _)| name == "NATS_NKEY").unwrap();
    let seed = std::fs::read_to_string(&seed.1).unwrap();
    let judge = ConnectOptions::with_nkey(seed).connect(server.url()).await.unwrap();
    judge.publish("submission.judged.a", "".into()).await.unwrap();
    judge.publish("submission.reported.a", "".into()).await.unwrap();
    // The test itself may do everything.
    let test = async_nats::connect(server.url()).await.unwrap();
    test.publish("anything", "".into()).await.unwrap();
    let refused = async || !server.violations().is_empty();
    wait_until("the violation", TEST_TIMEOUT, refused).await.unwrap();
    let violations = server.violations();
    assert!(
        violations[0].contains("judge") && violations[0].contains("submission.reported.a"),
        "{violations:?}"
    );
    test.flush().await.unwrap();
    assert_eq!(server.violations().len(), 1, "{:?}", server.violations());
}
