//! The ingress: whether it is ready, and whether its keys do what they should. What is sent is no submission, so
//! nothing can be queued by it.

use std::time::Duration;

use serde_json::Value;

use super::Finding;

const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn check(base: &str, key: Option<&str>) -> Vec<Finding> {
    let base = base.trim_end_matches('/');
    let client = reqwest::Client::new();
    let ready = client.get(format!("{base}/readyz")).timeout(PATIENCE).send().await;
    let mut findings = match ready {
        Err(_) => {
            let found = format!("{base} cannot be reached");
            return vec![Finding::bad(
                "ingress over HTTP",
                found,
                "start it, or set INGRESS_URL to where it is",
            )];
        }
        Ok(answer) if answer.status().is_success() => vec![Finding::good("ingress over HTTP", "it is ready")],
        Ok(answer) => {
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap_or_default();
            let found = format!("it is not ready ({status}): {body}");
            vec![Finding::bad(
                "ingress over HTTP",
                found,
                "mend what it names; it takes submissions again by itself",
            )]
        }
    };
    let url = format!("{base}/v1/judge-question");
    let post = async |key: Option<&str>| {
        let request =
            client.post(&url).timeout(PATIENCE).header("content-type", "application/json").body("{}");
        let request = if let Some(key) = key { request.bearer_auth(key) } else { request };
        request.send().await.map(|answer| answer.status().as_u16())
    };
    let is_open = matches!(post(None).await, Ok(400));
    findings.push(match (is_open, key) {
        (true, _) if is_local(base) => {
            Finding::good("ingress keys", "none is asked for, and the ingress is on this machine")
        }
        (true, _) => Finding::warning(
            "ingress keys",
            "anybody who reaches the ingress may submit",
            "set INGRESS_KEYS at the ingress, and the key at the Convex app",
        ),
        (false, None) => {
            Finding::good("ingress keys", "one is asked for; with INGRESS_KEY set it is checked, too")
        }
        (false, key) => match post(key).await {
            Ok(400) => Finding::good("ingress keys", "one is asked for, and INGRESS_KEY is right"),
            Ok(401) => Finding::bad(
                "ingress keys",
                "the ingress refuses INGRESS_KEY",
                "INGRESS_KEY must be one of the ingress's INGRESS_KEYS; the Convex app needs the same",
            ),
            Ok(status) => {
                Finding::bad("ingress keys", format!("it answers {status}"), "see the ingress's log")
            }
            Err(_) => Finding::bad("ingress keys", "it does not answer", "see the ingress's log"),
        },
    });
    findings
}

fn is_local(base: &str) -> bool {
    let host = base.split_once("://").map_or(base, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}
