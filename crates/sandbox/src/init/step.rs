//! Errors of the steps that build a slot.

use std::io;

/// A failed step of the init, reported to the judge as [`crate::protocol::wire::FromInit::Failed`].
#[derive(Debug)]
pub(super) struct StepError {
    pub(super) step: String,
    pub(super) errno: i32,
}

/// Adds the name of the failed step to an error.
pub(super) trait StepContext<T> {
    /// `name` completes the sentence "the slot's init could not …".
    fn step(self, name: impl FnOnce() -> String) -> Result<T, StepError>;
}

impl<T, E: Into<io::Error>> StepContext<T> for Result<T, E> {
    fn step(self, name: impl FnOnce() -> String) -> Result<T, StepError> {
        self.map_err(|error| StepError { step: name(), errno: error.into().raw_os_error().unwrap_or(0) })
    }
}
