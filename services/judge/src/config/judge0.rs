//! The settings for Judge0.

use gavel_config::{Env, request_timeout};
use gavel_domain::Secret;
use gavel_judge0::{Judge0Client, Judge0Config};

/// Reads the settings. Invalid settings are a problem even if Judge0 is not used, because someone set them on purpose.
pub(super) fn read(env: &mut Env) -> Judge0Config {
    let config = Judge0Config {
        base_url: env.get("JUDGE0_BASE_URL", "http://localhost:2358".to_owned(), "URL of Judge0"),
        api_key: env
            .secret("JUDGE0_API_KEY", "API key for Judge0, sent as X-Auth-Token; if unset, none is sent")
            .map(|key| key.expose().trim().to_owned()),
        headers: headers(env),
        timeout: request_timeout(env),
        window: env.number(
            "JUDGE0_WINDOW",
            4,
            0,
            50,
            "tests of a submission sent to Judge0 ahead of the current one; 0: one test at a time",
        ),
    };
    if let Err(error) = Judge0Client::new(&config) {
        env.add_problem(error.to_string());
    }
    config
}

fn headers(env: &mut Env) -> Vec<(String, String)> {
    let pairs = env.secrets(
        "JUDGE0_HEADERS",
        "headers for a hosted Judge0, as NAME=VALUE separated by commas, such as the two of RapidAPI",
    );
    let mut headers = Vec::new();
    for pair in pairs.iter().map(Secret::expose) {
        match pair.split_once('=') {
            Some((name, value)) => headers.push((name.trim().to_owned(), value.trim().to_owned())),
            // The message does not repeat the text, which may be a key.
            None => env.add_problem("JUDGE0_HEADERS must be NAME=VALUE pairs separated by commas".to_owned()),
        }
    }
    headers
}
