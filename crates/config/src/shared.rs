//! Settings that mean the same to more than one crate.

use std::time::Duration;

use crate::Env;

/// Reads `REQUEST_TIMEOUT_MS`: the timeout of a call to Convex or Judge0.
pub fn request_timeout(env: &mut Env) -> Duration {
    env.millis(
        "REQUEST_TIMEOUT_MS",
        Duration::from_secs(15),
        "timeout of a call to Convex or Judge0, in milliseconds",
    )
}
