//! What the judge and the init of a slot say to each other; compiled into both, with the privileges of either.
//!
//! It uses neither [`crate::init`] nor the judge's side.

pub(crate) mod channel;
pub(crate) mod ids;
pub(crate) mod limits;
pub(crate) mod wire;

/// The name (`argv[0]`) under which the judge executes itself as the init of a slot.
pub(crate) const INIT_ARGUMENT: &str = "gavel-sandbox-init";
