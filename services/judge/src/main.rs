//! `gavel-judge`: the judge as a standalone process.

use std::process::ExitCode;

use gavel_judge::{Config, Engines, bind};

fn main() -> ExitCode {
    // Must come first: the sandbox starts its own processes from this executable.
    gavel_sandbox::init::enter_if_asked();
    gavel_runtime::run_service(
        "gavel-judge",
        "Runs submissions against their test cases.",
        Config::read,
        |config| &config.service,
        async |config| {
            let engine = Engines::start(&config).await?;
            bind(config, engine).await
        },
    )
}
