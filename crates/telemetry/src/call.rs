//! A call to another system, and its measures.

use std::time::Instant;

use tracing::Instrument as _;

use crate::{table, trace};

/// What is called, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The service that calls.
    pub service: &'static str,
    /// Who is called.
    pub peer: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, as a template.
    pub endpoint: &'static str,
}

/// The word for a call that did what it should.
pub const OK: &str = "ok";

/// Makes a call. `outcome` is a word for what became of it: [`OK`], or what was wrong.
pub async fn call<T>(
    what: Call,
    made: impl Future<Output = T>,
    outcome: impl FnOnce(&T) -> &'static str,
) -> T {
    let Call { service, peer, method, endpoint } = what;
    let began = Instant::now();
    let (answer, outcome) = async {
        let answer = made.await;
        let outcome = outcome(&answer);
        trace::outcome(outcome, outcome != OK);
        (answer, outcome)
    }
    .instrument(trace::calling(method, peer, endpoint))
    .await;
    table::CLIENT_SECONDS.note([service, peer, method, endpoint], began.elapsed());
    table::CLIENT_REQUESTS.add([service, peer, method, endpoint, outcome]);
    answer
}
