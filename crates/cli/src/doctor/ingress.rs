//! Checks of the ingress: whether it is ready and checks keys. The request that is sent is invalid, so that it can queue
//! nothing.

use std::time::Duration;

use gavel_domain::error::chain;
use serde_json::Value;

use super::Finding;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn check(base: &str, key: Option<&str>) -> Vec<Finding> {
    let base = base.trim_end_matches('/');
    let client = match gavel_http::client().build() {
        Ok(client) => client,
        Err(error) => {
            let found = format!("cannot make an HTTP client: {}", chain(&error));
            return vec![Finding::bad(
                "ingress over HTTP",
                found,
                "Install root certificates (ca-certificates).",
            )];
        }
    };
    let ready = client.get(format!("{base}/readyz")).timeout(REQUEST_TIMEOUT).send().await;
    let mut findings = match ready {
        Err(_) => {
            let found = format!("cannot connect to {base}");
            return vec![Finding::bad(
                "ingress over HTTP",
                found,
                "Start the ingress, or set INGRESS_URL to its URL.",
            )];
        }
        Ok(answer) if answer.status().is_success() => vec![Finding::good("ingress over HTTP", "ready")],
        Ok(answer) => {
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap_or_default();
            let found = format!("not ready (HTTP {status}): {body}");
            vec![Finding::bad(
                "ingress over HTTP",
                found,
                "Fix what it names; then it accepts submissions again without a restart.",
            )]
        }
    };
    let url = format!("{base}/v1/judge-question");
    let post = async |key: Option<&str>| {
        let request =
            client.post(&url).timeout(REQUEST_TIMEOUT).header("content-type", "application/json").body("{}");
        let request = if let Some(key) = key { request.bearer_auth(key) } else { request };
        request.send().await.map(|answer| answer.status().as_u16())
    };
    let is_open = matches!(post(None).await, Ok(400));
    findings.push(match (is_open, key) {
        (true, _) if is_local(base) => {
            Finding::good("ingress keys", "not required; the ingress is on this machine")
        }
        (true, _) => Finding::warning(
            "ingress keys",
            "not required: anyone who can reach the ingress can submit",
            "Set INGRESS_KEYS for the ingress, and give the key to the Convex app.",
        ),
        (false, None) => {
            Finding::good("ingress keys", "required; set INGRESS_KEY to check the key, too")
        }
        (false, key) => match post(key).await {
            Ok(400) => Finding::good("ingress keys", "required, and INGRESS_KEY is valid"),
            Ok(401) => Finding::bad(
                "ingress keys",
                "the ingress rejects INGRESS_KEY",
                "Set INGRESS_KEY to one of the INGRESS_KEYS of the ingress; the Convex app needs the same key.",
            ),
            Ok(status) => {
                Finding::bad("ingress keys", format!("unexpected answer: HTTP {status}"), "See the log of the ingress.")
            }
            Err(_) => Finding::bad("ingress keys", "no answer", "See the log of the ingress."),
        },
    });
    findings
}

fn is_local(base: &str) -> bool {
    let host = base.split_once("://").map_or(base, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}
