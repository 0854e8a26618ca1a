//! `gavel-reporter`: the reporter as a standalone process.

use std::process::ExitCode;

use gavel_reporter::Config;

#[global_allocator]
static ALLOCATOR: gavel_runtime::MiMalloc = gavel_runtime::MiMalloc;

fn main() -> ExitCode {
    gavel_runtime::run_service(
        "gavel-reporter",
        "Notifies Convex of running submissions and of results.",
        Config::read,
        |config| &config.service,
        gavel_reporter::bind,
    )
}
