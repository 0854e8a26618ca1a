//! Deduplicates equal calls that run at the same time (the "single flight" pattern).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

/// Calls in progress by key. Callers with the same key share one call and its result. This is no cache: a call that
/// has completed is forgotten.
pub(crate) struct SingleFlight<K, V: Clone> {
    calls: Mutex<HashMap<K, SharedCall<V>>>,
    /// Permits for callers that wait for a call started by another.
    waiters: Semaphore,
}

type SharedCall<V> = Shared<BoxFuture<'static, V>>;

/// All waiter permits are in use. The limit keeps the callers of a slow call from filling all slots, so that other
/// calls can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyWaiters;

impl<K: Clone + Eq + Hash, V: Clone + Send + Sync + 'static> SingleFlight<K, V> {
    /// Allows up to `max_waiters` callers to wait for calls that others have started, over all keys.
    pub(crate) fn new(max_waiters: usize) -> Self {
        Self { calls: Mutex::new(HashMap::new()), waiters: Semaphore::new(max_waiters) }
    }

    /// Waits for the call for `key`, and starts it if there is none. The call continues if one of its callers is
    /// cancelled.
    pub(crate) async fn join(
        &self,
        key: K,
        start: impl FnOnce() -> BoxFuture<'static, V>,
    ) -> Result<V, TooManyWaiters> {
        let (call, permit) = match self.lock().entry(key.clone()) {
            Entry::Occupied(entry) => {
                let permit = self.waiters.try_acquire().map_err(|_| TooManyWaiters)?;
                (entry.get().clone(), Some(permit))
            }
            Entry::Vacant(entry) => (entry.insert(start().shared()).clone(), None),
        };
        let remover = RemoveOnDrop { single_flight: self, key, call: call.clone() };
        let value = call.await;
        drop((remover, permit));
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, SharedCall<V>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a call however the wait for it ends: a panicked call that stayed would fail every later caller.
struct RemoveOnDrop<'a, K: Eq + Hash, V: Clone> {
    single_flight: &'a SingleFlight<K, V>,
    key: K,
    call: SharedCall<V>,
}

impl<K: Eq + Hash, V: Clone> Drop for RemoveOnDrop<'_, K, V> {
    fn drop(&mut self) {
        let mut calls = self.single_flight.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.get(&self.key).is_some_and(|current| current.ptr_eq(&self.call)) {
            calls.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn simultaneous_calls_run_once_and_later_calls_again() {
        let single_flight = SingleFlight::new(9);
        let (count, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let start = || {
            let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
            async move {
                gate.acquire().await.unwrap().forget();
                count.fetch_add(1, Ordering::SeqCst)
            }
            .boxed()
        };
        let all = join_all((0..10).map(|_| single_flight.join("q", start)));
        let (joined, ()) = tokio::join!(all, async { gate.add_permits(3) });
        assert_eq!(joined, vec![Ok(0); 10]);
        assert_eq!(single_flight.join("q", start).await, Ok(1));
        assert_eq!(single_flight.join("other", start).await, Ok(2));
        assert!(single_flight.lock().is_empty());
    }

    #[tokio::test]
    async fn waiters_are_limited_but_starters_are_not() {
        let single_flight = SingleFlight::new(0);
        let completes = || async {}.boxed();
        let mut first = Box::pin(single_flight.join("q", || std::future::pending().boxed()));
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(single_flight.join("q", completes).await, Err(TooManyWaiters));
        assert_eq!(single_flight.join("other", completes).await, Ok(()));
        // The call has no callers left, so nothing would poll it to completion.
        drop(first);
        assert_eq!(single_flight.join("q", completes).await, Ok(()));
    }

    #[tokio::test]
    async fn panicked_call_is_removed() {
        let single_flight = Arc::new(SingleFlight::new(1));
        let panicking = Arc::clone(&single_flight);
        let panic = async move { panicking.join("q", || async { panic!("a failing call") }.boxed()).await };
        assert!(tokio::spawn(panic).await.unwrap_err().is_panic());
        assert_eq!(single_flight.join("q", || async {}.boxed()).await, Ok(()));
    }
}
