//! `gavel mock-convex`: the mock as a separate process.

use gavel_testkit::{Process, TEST_TIMEOUT};

#[tokio::test]
async fn mock_convex_returns_sample_questions_until_it_is_stopped() {
    let mock = Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .args(["mock-convex", "--listen", "127.0.0.1:0"])
        .start()
        .unwrap();
    let line = mock.wait_log("the address", TEST_TIMEOUT, |line| line.contains("listens on")).await.unwrap();
    let url = line.text.rsplit(' ').next().unwrap().to_owned();
    let body = serde_json::json!({ "submissionId": "s1", "questionId": "sum" });
    let answer = gavel_http::client()
        .build()
        .unwrap()
        .post(format!("{url}/coding/testcases"))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let question: serde_json::Value = answer.json().await.unwrap();
    assert!(question["testCases"].as_array().is_some_and(|tests| tests.len() == 5), "{question}");
    mock.terminate().unwrap();
    assert_eq!(mock.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
}
