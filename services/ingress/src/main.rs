//! `gavel-ingress`: the ingress as a standalone process.

use std::process::ExitCode;

use gavel_ingress::Config;

fn main() -> ExitCode {
    gavel_runtime::run_service(
        "gavel-ingress",
        "Accepts submissions over HTTP and queues them in NATS.",
        Config::read,
        |config| &config.service,
        gavel_ingress::bind,
    )
}
