//! Requests to NATS that never hang.

use std::time::Duration;

use gavel_bus::Bus;
use gavel_describe::explanation::{Explanation, START_NATS};
use gavel_inspect::InspectError;

use crate::error::ApiError;

/// How long one request of a reader may take in all.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// What is wrong while there is no connection.
pub(crate) fn disconnected() -> Explanation {
    Explanation { message: "NATS does not answer".to_owned(), remedy: START_NATS }
}

/// Runs work that needs NATS. Fails at once without a connection, or when it is lost.
pub(crate) async fn run<T, E>(bus: &Bus, work: impl Future<Output = Result<T, E>>) -> Result<T, ApiError>
where
    ApiError: From<E>,
{
    let away = || <ApiError as From<InspectError>>::from(InspectError::NoAnswer);
    if !bus.is_connected() {
        return Err(away());
    }
    tokio::select! {
        done = tokio::time::timeout(REQUEST_TIMEOUT, work) => match done {
            Ok(done) => done.map_err(ApiError::from),
            Err(_) => Err(away()),
        },
        () = until_disconnected(bus) => Err(away()),
    }
}

/// Returns once the connection is lost.
pub(crate) async fn until_disconnected(bus: &Bus) {
    let mut state = bus.connection().state();
    while bus.is_connected() {
        if state.changed().await.is_err() {
            return;
        }
    }
}
