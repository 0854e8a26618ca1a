//! One series of a metric: cheap to update, more expensive to look up.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

pub use metrics::{Counter, Gauge, Histogram};

/// Series that were looked up already, for code that updates one of a few for each message. The keys must be as few as the
/// label values.
#[derive(Debug)]
pub struct Known<K, S>(RwLock<HashMap<K, S>>);

impl<K, S> Default for Known<K, S> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, S: Clone> Known<K, S> {
    /// Returns the series of `key`, from `look_up` if this is the first time.
    pub fn get(&self, key: K, look_up: impl FnOnce(&K) -> S) -> S {
        if let Some(series) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return series.clone();
        }
        let series = look_up(&key);
        self.0.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(series).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_is_looked_up_once() {
        let known = Known::default();
        let mut lookups = Vec::new();
        for key in ["a", "b", "a", "a"] {
            let series = known.get(key, |key| {
                lookups.push(*key);
                format!("series {key}")
            });
            assert_eq!(series, format!("series {key}"));
        }
        assert_eq!(lookups, ["a", "b"]);
    }
}
