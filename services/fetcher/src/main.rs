//! `gavel-fetcher`: the fetcher as a standalone process.

use std::process::ExitCode;

use gavel_fetcher::{App, Config};

fn main() -> ExitCode {
    gavel_runtime::run(
        "gavel-fetcher",
        "fetches the test cases of queued submissions from Convex",
        Config::read,
        |config| config.service.grace,
        async |config, lifecycle| App::new(config).await?.run(lifecycle).await,
    )
}
