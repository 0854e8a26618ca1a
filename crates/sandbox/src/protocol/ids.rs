//! How the user and group ids inside a slot relate to those of the host.

use serde::{Deserialize, Serialize};

/// Which user and group ids the init and the programs of a slot have on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdMapping {
    /// A user namespace with one id for the init and another for its programs. Needs root.
    Separate,
    /// A user namespace with the judge's own id for both. Needs no privilege.
    JudgeOnly,
    /// No user namespace: the init is root on the host, programs have a separate id. Needs root.
    Unmapped,
}
