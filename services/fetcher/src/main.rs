//! `gavel-fetcher`: the fetcher as a standalone process.

use std::process::ExitCode;

use gavel_fetcher::Config;

#[global_allocator]
static ALLOCATOR: gavel_runtime::MiMalloc = gavel_runtime::MiMalloc;

fn main() -> ExitCode {
    gavel_runtime::run_service(
        "gavel-fetcher",
        "Fetches the test cases of queued submissions from Convex.",
        Config::read,
        |config| &config.service,
        gavel_fetcher::bind,
    )
}
