//! Metrics and a span for a call to another system.

use std::time::Instant;

use tracing::Instrument as _;

use crate::{table, trace};

/// Labels that identify the endpoint of a call.
#[derive(Clone, Copy, Debug)]
pub struct CallLabels {
    /// The service that calls.
    pub service: &'static str,
    /// The system that is called.
    pub peer: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, as a template.
    pub endpoint: &'static str,
}

/// The outcome of a successful call.
pub const OK: &str = "ok";

/// Makes a call and records its duration and outcome. `outcome` returns [`OK`] or a label for what went wrong.
pub async fn measure_call<T>(
    labels: CallLabels,
    call: impl Future<Output = T>,
    outcome: impl FnOnce(&T) -> &'static str,
) -> T {
    let CallLabels { service, peer, method, endpoint } = labels;
    let started = Instant::now();
    let (result, outcome) = async {
        let result = call.await;
        let outcome = outcome(&result);
        trace::record_outcome(outcome, outcome != OK);
        (result, outcome)
    }
    .instrument(trace::client_span(method, peer, endpoint))
    .await;
    table::CLIENT_SECONDS.record([service, peer, method, endpoint], started.elapsed());
    table::CLIENT_REQUESTS.add([service, peer, method, endpoint, outcome]);
    result
}
