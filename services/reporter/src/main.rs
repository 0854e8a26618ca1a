//! `gavel-reporter`: the reporter as a standalone process.

use std::process::ExitCode;

use gavel_reporter::{App, Config};

fn main() -> ExitCode {
    gavel_runtime::run(
        "gavel-reporter",
        "notifies Convex that submissions are running, and sends their verdicts",
        Config::read,
        |config| config.service.grace,
        async |config, lifecycle| App::new(config).await?.run(lifecycle).await,
    )
}
