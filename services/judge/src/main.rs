//! `gavel-judge`: the judge as a process of its own.

use std::process::ExitCode;

use gavel_judge::{App, Config, Engines};

fn main() -> ExitCode {
    // First of all: the sandbox starts its own processes from this very program.
    gavel_sandbox::init::enter_if_asked();
    gavel_runtime::run(
        "gavel-judge",
        "runs ready submissions against their test cases",
        Config::read,
        |config| config.service.grace,
        async |config, lifecycle| {
            let engine = Engines::start(&config).await?;
            App::new(config, engine).await?.run(lifecycle).await
        },
    )
}
