//! Convex: whether it is there, with all its routes, and whether our credentials do what they should.

use std::time::Duration;

use gavel_config::Env;
use gavel_convex::{CallError, Convex, ConvexConfig};

use super::Finding;

/// Longer than Convex takes, shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(10);
const CREDENTIALS: &str = "Convex credentials";

pub(super) async fn check(url: Option<&str>) -> Vec<Finding> {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return vec![Finding::skipped(
            "Convex",
            "CONVEX_SITE_URL is not set; the services' own view of Convex is above",
        )];
    };
    let mut env = Env::from_process();
    env.set("CONVEX_SITE_URL", url);
    let config = ConvexConfig { timeout: PATIENCE, ..ConvexConfig::read(&mut env) };
    if let Err(problems) = env.finish() {
        return vec![Finding::bad("Convex", problems.to_string(), "set it as deploy/default.env says")];
    }
    let has_credentials = config.token.is_some() || !config.signing_secrets.is_empty();
    let mut findings = ask(&config).await;
    if has_credentials && findings.iter().all(Finding::is_good) {
        findings.push(without_credentials(config).await);
    }
    findings
}

async fn ask(config: &ConvexConfig) -> Vec<Finding> {
    let convex = match Convex::new(config) {
        Ok(convex) => convex,
        Err(error) => {
            let remedy = "set CONVEX_SITE_URL to https://NAME.convex.site";
            return vec![Finding::bad("Convex", error.to_string(), remedy)];
        }
    };
    match convex.probe().await {
        Err(error) => vec![Finding::bad(
            "Convex",
            gavel_bus::Cause::from(error).as_str(),
            "see whether CONVEX_SITE_URL is right (it ends in .convex.site, not .convex.cloud) and this machine may reach it",
        )],
        Ok(wrong) if wrong.is_empty() => vec![Finding::good("Convex", "it is there with all six routes")],
        Ok(wrong) => wrong
            .into_iter()
            .map(|(path, error)| Finding::bad(&format!("Convex {path}"), error.to_string(), remedy(&error)))
            .collect(),
    }
}

/// Whether Convex also takes what does not show who it is from.
async fn without_credentials(config: ConvexConfig) -> Finding {
    let stranger = Convex::new(&ConvexConfig { token: None, signing_secrets: Vec::new(), ..config });
    let answered = match stranger {
        Ok(stranger) => stranger.probe().await,
        Err(error) => return Finding::warning(CREDENTIALS, error.to_string(), "see the error"),
    };
    match answered {
        Ok(refused) if refused.len() == gavel_convex::PATHS.len() => {
            Finding::good(CREDENTIALS, "ours are taken, and calls without any are refused")
        }
        Ok(_) => Finding::warning(
            CREDENTIALS,
            "ours are taken, and so are calls without any: whoever knows the address can report verdicts",
            "have each of the app's HTTP actions check the token or the signature (docs/security.md)",
        ),
        Err(error) => Finding::warning(CREDENTIALS, error.to_string(), "run gavel doctor again"),
    }
}

fn remedy(error: &CallError) -> &'static str {
    match error {
        CallError::Page { .. } => "a proxy or a sign-in is between us and Convex: let this machine through",
        _ if error.status() == Some(404) => {
            "no such route: deploy the app's HTTP actions (convex/http.ts), or CONVEX_SITE_URL is another deployment"
        }
        _ if error.status() == Some(200) => "whatever answers there takes everything, so it is not the app",
        _ if matches!(error.status(), Some(401 | 403)) => {
            "our credentials are wrong or missing: CONVEX_TOKEN and CONVEX_SIGNING_SECRETS must be what the app knows"
        }
        _ => "look at the deployment's logs at Convex",
    }
}
