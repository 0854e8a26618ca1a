//! Checks without side effects that Convex is reachable and has all routes.
//!
//! A call that names no question and no submission is refused with 400 before Convex reads or writes anything; a
//! route that does not exist answers 404 (contract §2).

use crate::call::{CallError, PATHS};
use crate::client::Convex;
use crate::response::expect_success;
use crate::sign::callback_id;

impl Convex {
    /// Calls each route and returns those that do not answer as expected, with their errors.
    ///
    /// # Errors
    /// Returns the error of the first call that gets no complete response.
    pub async fn probe(&self) -> Result<Vec<(&'static str, CallError)>, CallError> {
        let mut failed = Vec::new();
        for path in PATHS {
            match self.check_path(path).await {
                Ok(()) => {}
                Err(error @ (CallError::Unreachable(_) | CallError::NoAnswer(_))) => return Err(error),
                Err(error) => failed.push((path, error)),
            }
        }
        Ok(failed)
    }

    /// Calls one route, and returns the status of the answer if it is one of success.
    pub(crate) async fn send_probe(&self, path: &str) -> Result<u16, CallError> {
        // Random, so that a receiver that drops repeated calls does not drop one of these.
        let call = callback_id("doctor", &format!("{:032x}", rand::random::<u128>()));
        expect_success(self.post(path, b"{}".to_vec(), &call, None, None).await?).await
    }

    /// Calls one route. Fails unless it answers 400.
    async fn check_path(&self, path: &str) -> Result<(), CallError> {
        match self.send_probe(path).await {
            Err(CallError::Status { status: 400, .. }) => Ok(()),
            Err(error) => Err(error),
            // A server that accepts an empty call is not the app.
            Ok(status) => Err(CallError::Foreign { status, problem: "it accepts a call without an id" }),
        }
    }
}
