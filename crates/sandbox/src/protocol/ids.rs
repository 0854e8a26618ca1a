//! How the user and group ids inside a slot relate to those of the host.

use serde::{Deserialize, Serialize};

/// Which user and group ids the init and the programs of a slot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ids {
    /// A user namespace with one id for the init and another for its programs. Needs root.
    Two,
    /// A user namespace with the judge's own id for both. Needs no privilege.
    One,
    /// No user namespace: the init is root on the host, programs have their own id. Needs root.
    Host,
}
