//! Work that many want at the same time, done once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

/// Flights that are under way, by what they fetch. A flight that has landed is forgotten: this is no cache.
pub(crate) struct SingleFlight<K, V: Clone> {
    flights: Mutex<HashMap<K, Flight<V>>>,
    /// Places for those who wait for a flight that another has started.
    seats: Semaphore,
}

type Flight<V> = Shared<BoxFuture<'static, V>>;

/// All seats are taken: who waits for a slow flight must not keep the others from starting theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

impl<K: Clone + Eq + Hash, V: Clone + Send + Sync + 'static> SingleFlight<K, V> {
    /// Flights that so many may join; those who start one are not counted.
    pub(crate) fn new(seats: usize) -> Self {
        Self { flights: Mutex::new(HashMap::new()), seats: Semaphore::new(seats) }
    }

    /// Joins the flight for `key`, starting it where there is none. A flight goes on when one of those who
    /// wait for it goes away.
    pub(crate) async fn join(
        &self,
        key: K,
        start: impl FnOnce() -> BoxFuture<'static, V>,
    ) -> Result<V, Crowded> {
        let (flight, seat) = match self.lock().entry(key.clone()) {
            Entry::Occupied(entry) => {
                let seat = self.seats.try_acquire().map_err(|_| Crowded)?;
                (entry.get().clone(), Some(seat))
            }
            Entry::Vacant(entry) => (entry.insert(start().shared()).clone(), None),
        };
        let landing = Landing { flights: self, key, flight: flight.clone() };
        let value = flight.await;
        drop((landing, seat));
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Flight<V>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a flight however the wait for it ends: one that has panicked would fail for ever.
struct Landing<'a, K: Eq + Hash, V: Clone> {
    flights: &'a SingleFlight<K, V>,
    key: K,
    flight: Flight<V>,
}

impl<K: Eq + Hash, V: Clone> Drop for Landing<'_, K, V> {
    fn drop(&mut self) {
        let mut flights = self.flights.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(&self.key).is_some_and(|current| current.ptr_eq(&self.flight)) {
            flights.remove(&self.key);
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
    async fn what_is_simultaneous_is_done_once_and_what_comes_later_again() {
        let flights = SingleFlight::new(9);
        let (count, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let start = || {
            let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
            async move {
                gate.acquire().await.unwrap().forget();
                count.fetch_add(1, Ordering::SeqCst)
            }
            .boxed()
        };
        let all = join_all((0..10).map(|_| flights.join("q", start)));
        let (joined, ()) = tokio::join!(all, async { gate.add_permits(3) });
        assert_eq!(joined, vec![Ok(0); 10]);
        assert_eq!(flights.join("q", start).await, Ok(1));
        assert_eq!(flights.join("other", start).await, Ok(2));
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn without_a_seat_nobody_waits_but_whoever_is_first() {
        let flights = SingleFlight::new(0);
        let lands = || async {}.boxed();
        let mut first = Box::pin(flights.join("q", || std::future::pending().boxed()));
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(flights.join("q", lands).await, Err(Crowded));
        assert_eq!(flights.join("other", lands).await, Ok(()));
        // Nobody waits any more, so nobody would bring it to its end.
        drop(first);
        assert_eq!(flights.join("q", lands).await, Ok(()));
    }

    #[tokio::test]
    async fn a_flight_that_panics_is_forgotten() {
        let flights = Arc::new(SingleFlight::new(1));
        let crashing = Arc::clone(&flights);
        let crash = async move { crashing.join("q", || async { panic!("it crashes") }.boxed()).await };
        assert!(tokio::spawn(crash).await.unwrap_err().is_panic());
        assert_eq!(flights.join("q", || async {}.boxed()).await, Ok(()));
    }
}
