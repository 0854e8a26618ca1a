//! Who keeps the callbacks of a submission in order at Convex (ADR 0009).

use std::fmt;
use std::str::FromStr;

/// `CONVEX_ORDER`: who makes sure that no `running` call takes effect after the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackOrder {
    /// The reporters, with claims on NATS: Convex stores whatever arrives last.
    Strict,
    /// Convex: it ranks the callbacks by their ids and ignores what is out of date.
    Guarded,
}

/// The text names no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidOrder;

impl FromStr for CallbackOrder {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        match text {
            "strict" => Ok(Self::Strict),
            "guarded" => Ok(Self::Guarded),
            _ => Err(InvalidOrder),
        }
    }
}

impl fmt::Display for CallbackOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Guarded => "guarded",
        })
    }
}
