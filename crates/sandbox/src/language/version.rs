//! Comparing the versions of toolchains with those that Judge0 means by its ids.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Whether an id may be served by a toolchain that is older than the version that Judge0 means by the id
/// (`LANGUAGE_VERSIONS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionRule {
    /// Any version may serve it; the verdict names the version.
    #[default]
    Any,
    /// Only the same version or a later one may serve it.
    AtLeast,
}

/// The text is not a [`VersionRule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be any or at-least")]
pub struct ParseVersionRuleError;

impl FromStr for VersionRule {
    type Err = ParseVersionRuleError;

    fn from_str(text: &str) -> Result<Self, ParseVersionRuleError> {
        match text {
            "any" => Ok(Self::Any),
            "at-least" => Ok(Self::AtLeast),
            _ => Err(ParseVersionRuleError),
        }
    }
}

impl fmt::Display for VersionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::AtLeast => "at-least",
        })
    }
}

/// Whether `version` is older than `than`. Parts that only one of them has are ignored.
pub(crate) fn is_older(version: &str, than: &str) -> bool {
    let parts = |text: &str| -> Vec<u64> { text.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    let different = parts(version).into_iter().zip(parts(than)).find(|(one, other)| one != other);
    different.is_some_and(|(one, other)| one.cmp(&other) == Ordering::Less)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_part_by_part() {
        assert!(is_older("12.2.0", "14.1.0") && is_older("1.9", "1.19.8") && is_older("3.11.2", "3.13.2"));
        assert!(!is_older("14.1.0", "12.2.0") && !is_older("17.0.15", "17.0.6") && !is_older("6.8", "6.8.1"));
    }
}
