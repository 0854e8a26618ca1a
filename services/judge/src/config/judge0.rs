//! Where Judge0 is.

use gavel_config::{Env, request_timeout};
use gavel_domain::Secret;
use gavel_judge0::{Client, Judge0Config};

/// Reads it. What can never work is a problem even where Judge0 is not used: it was set for something.
pub(super) fn read(env: &mut Env) -> Judge0Config {
    let config = Judge0Config {
        base_url: env.get("JUDGE0_BASE_URL", "http://localhost:2358".to_owned(), "where Judge0 is"),
        api_key: env
            .secret("JUDGE0_API_KEY", "sent to Judge0 as X-Auth-Token; none: nothing is sent")
            .map(|key| key.expose().trim().to_owned()),
        headers: headers(env),
        timeout: request_timeout(env),
        window: env.number(
            "JUDGE0_WINDOW",
            4,
            0,
            50,
            "tests of a submission that are sent to Judge0 ahead of the one whose turn it is; 0: one at a time",
        ),
    };
    if let Err(error) = Client::new(&config) {
        env.add_problem(error.to_string());
    }
    config
}

fn headers(env: &mut Env) -> Vec<(String, String)> {
    let pairs = env.secrets(
        "JUDGE0_HEADERS",
        "headers of each call to a hosted Judge0, as NAME=VALUE, separated by commas, such as RapidAPI's two",
    );
    let mut headers = Vec::new();
    for pair in pairs.iter().map(Secret::expose) {
        match pair.split_once('=') {
            Some((name, value)) => headers.push((name.trim().to_owned(), value.trim().to_owned())),
            // Not repeated: it may be a key.
            None => env.add_problem("JUDGE0_HEADERS must be NAME=VALUE, separated by commas".to_owned()),
        }
    }
    headers
}
