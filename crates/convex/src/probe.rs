//! Whether Convex is there with all its routes, found out without any effect.
//!
//! A call that names no question and no submission is refused with 400 before anything is read or written; a path
//! that does not exist answers 404 (contract §2).

use crate::call::{CallError, PATHS};
use crate::callback_id;
use crate::client::{Convex, expect_success};

impl Convex {
    /// Asks each route, and tells what each answers that is not as it should be.
    ///
    /// # Errors
    /// The first call that was not answered at all.
    pub async fn probe(&self) -> Result<Vec<(&'static str, CallError)>, CallError> {
        let mut wrong = Vec::new();
        for path in PATHS {
            // A receiver that drops repeats must not take one of these for another.
            let call = callback_id("doctor", &format!("{:032x}", rand::random::<u128>()));
            match expect_success(self.post(path, b"{}".to_vec(), &call, None, None).await?).await {
                Err(CallError::Status { status: 400, .. }) => {}
                Err(error) => wrong.push((path, error)),
                // Whatever takes a call that says nothing is not the app.
                Ok(status) => {
                    wrong.push((path, CallError::Status { status, retry_after: None, body: None }));
                }
            }
        }
        Ok(wrong)
    }
}
