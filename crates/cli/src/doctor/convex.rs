//! Checks of Convex: whether it is reachable, has all routes, and checks credentials.

use std::time::Duration;

use gavel_config::Env;
use gavel_convex::{CallError, Convex, ConvexConfig};

use super::Finding;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const CREDENTIALS: &str = "Convex credentials";

pub(super) async fn check(url: Option<&str>) -> Vec<Finding> {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return vec![Finding::skipped(
            "Convex",
            "not checked, because CONVEX_SITE_URL is not set; how the services see Convex is listed above",
        )];
    };
    let mut env = Env::from_process();
    env.set("CONVEX_SITE_URL", url);
    let config = ConvexConfig { timeout: REQUEST_TIMEOUT, ..ConvexConfig::read(&mut env) };
    if let Err(problems) = env.finish() {
        return vec![Finding::bad(
            "Convex",
            problems.to_string(),
            "Correct the variables as described in deploy/default.env.",
        )];
    }
    let has_credentials = config.token.is_some() || !config.signing_secrets.is_empty();
    let mut findings = probe(&config).await;
    if has_credentials && findings.iter().all(Finding::is_good) {
        findings.push(check_anonymous(config).await);
    }
    findings
}

async fn probe(config: &ConvexConfig) -> Vec<Finding> {
    let convex = match Convex::new(config) {
        Ok(convex) => convex,
        Err(error) => {
            let remedy = "Set CONVEX_SITE_URL to https://NAME.convex.site.";
            return vec![Finding::bad("Convex", error.to_string(), remedy)];
        }
    };
    match convex.probe().await {
        Err(error) => vec![Finding::bad(
            "Convex",
            gavel_bus::Cause::from(error).as_str(),
            "Check CONVEX_SITE_URL (it ends in .convex.site, not .convex.cloud), and that this machine can reach it.",
        )],
        Ok(failed) if failed.is_empty() => vec![Finding::good("Convex", "reachable, with all six routes")],
        Ok(failed) => failed
            .into_iter()
            .map(|(path, error)| Finding::bad(&format!("Convex {path}"), error.to_string(), remedy(&error)))
            .collect(),
    }
}

/// Checks that Convex rejects requests without credentials.
async fn check_anonymous(config: ConvexConfig) -> Finding {
    let anonymous = Convex::new(&ConvexConfig { token: None, signing_secrets: Vec::new(), ..config });
    let answered = match anonymous {
        Ok(anonymous) => anonymous.probe().await,
        Err(error) => {
            return Finding::warning(
                CREDENTIALS,
                error.to_string(),
                "Correct the variables as described in deploy/default.env.",
            );
        }
    };
    match answered {
        Ok(rejected) if rejected.len() == gavel_convex::PATHS.len() => {
            Finding::good(CREDENTIALS, "valid; requests without credentials are rejected")
        }
        Ok(_) => Finding::warning(
            CREDENTIALS,
            "accepted, but so are requests without credentials: anyone who knows the URL can report verdicts",
            "Check the token or the signature in each HTTP action of the app (docs/security.md).",
        ),
        Err(error) => Finding::warning(CREDENTIALS, error.to_string(), "Run gavel doctor again."),
    }
}

fn remedy(error: &CallError) -> &'static str {
    match error {
        CallError::Page { .. } => {
            "A proxy or a sign-in page answers in place of Convex: allow this machine to reach Convex."
        }
        _ if error.status() == Some(404) => {
            "The route does not exist: deploy the app's HTTP actions (convex/http.ts), or set CONVEX_SITE_URL to the right deployment."
        }
        _ if error.status() == Some(200) => {
            "The server accepts invalid requests, so it is not the app: check CONVEX_SITE_URL."
        }
        _ if matches!(error.status(), Some(401 | 403)) => {
            "The credentials are wrong or missing: set CONVEX_TOKEN and CONVEX_SIGNING_SECRETS to the values of the app."
        }
        _ => "See the logs of the deployment in the Convex dashboard.",
    }
}
