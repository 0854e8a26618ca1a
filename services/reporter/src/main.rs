//! `gavel-reporter`: the reporter as a process of its own.

use std::process::ExitCode;

use gavel_reporter::{App, Config};

fn main() -> ExitCode {
    gavel_runtime::run(
        "gavel-reporter",
        "tells Convex what is running and what came of it",
        Config::read,
        |config| config.service.grace,
        async |config, lifecycle| App::new(config).await?.run(lifecycle).await,
    )
}
