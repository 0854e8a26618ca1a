//! `gavel-ingress`: the ingress as a process of its own.

use std::process::ExitCode;

use gavel_ingress::{App, Config};

fn main() -> ExitCode {
    gavel_runtime::run(
        "gavel-ingress",
        "takes submissions over HTTP and queues them",
        Config::read,
        |config| config.service.grace,
        async |config, lifecycle| App::new(config).await?.run(lifecycle).await,
    )
}
