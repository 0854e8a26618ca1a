//! The open connections of a server, and the memory for the bodies of their requests.
//!
//! A client that sends slowly, or reads slowly, holds its connection for as long as the timeouts allow, and there may be
//! thousands of them. So no client waits for a free connection: if there is none, the one is closed that has been in
//! its phase (idle or sending a head, in a request, reading a response) for longest. An honest client is through a phase
//! in milliseconds. Memory for bodies is shared in the same way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long a request may hold memory for its body before it can be closed for another one's. Until then the other one
/// waits: a burst of honest requests, each of which is complete in milliseconds, must not close any of them.
const BODY_GRACE: Duration = Duration::from_secs(1);
/// How long a request waits for memory for its body. By then slow clients have been closed, and the caller still waits for
/// an answer.
const BODY_WAIT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a request that waits for memory checks whether another one has reached [`BODY_GRACE`].
const BODY_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// The interval of warnings about closed connections.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Limits of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The maximum number of connections.
    pub(crate) connections: usize,
    /// The maximum number of protected connections. The others are the reserve for probes, which need no protection.
    pub(crate) protected: usize,
    /// The maximum memory for bodies that are being received or processed, in bytes.
    pub(crate) body_bytes: usize,
}

/// The open connections of a server.
pub(crate) struct Connections {
    limits: Limits,
    table: Mutex<Table>,
    /// Held by the request that looks for memory for its body, so that the others wait in order and without work.
    body_turn: tokio::sync::Mutex<()>,
    /// Notified when a connection ends or is no longer protected, and when memory for bodies is released.
    changed: Notify,
}

#[derive(Default)]
struct Table {
    next_id: u64,
    open: HashMap<u64, Open>,
    /// The sum over all connections.
    body_bytes: usize,
    protected: usize,
    closed: u64,
    warned_at: Option<Instant>,
}

struct Open {
    /// When the current phase began.
    since: Instant,
    /// Whether it must not be closed.
    is_protected: bool,
    /// Since when its request has been waiting for memory. It is not the client that takes long then.
    waiting_since: Option<Instant>,
    body_bytes: usize,
    close: CancellationToken,
}

/// A connection of a server. Requests carry it as an extension.
#[derive(Clone)]
pub struct Connection {
    connections: Arc<Connections>,
    id: u64,
    closed: CancellationToken,
}

/// Keeps a connection in the table.
pub(crate) struct OpenConnection(pub(crate) Connection);

/// Too many requests are protected, or hold memory, already.
#[derive(Debug)]
pub struct Overloaded;

impl Connections {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            table: Mutex::default(),
            body_turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Adds a connection. If there is no room, closes the one that has been in its phase for longest.
    pub(crate) async fn open(self: &Arc<Self>) -> OpenConnection {
        loop {
            // Created before the check, so that no change after the check is missed.
            let changed = self.changed.notified();
            if let Some(opened) = self.try_open() {
                return opened;
            }
            changed.await;
        }
    }

    /// Adds a connection, or returns `None` if there is no room and all are protected.
    fn try_open(self: &Arc<Self>) -> Option<OpenConnection> {
        let mut table = self.lock();
        if table.open.len() >= self.limits.connections {
            let oldest = table.oldest(|_, _| true)?;
            table.close(oldest, "connections");
        }
        let (id, closed) = (table.next_id, CancellationToken::new());
        table.next_id += 1;
        let open = Open {
            since: Instant::now(),
            is_protected: false,
            waiting_since: None,
            body_bytes: 0,
            close: closed.clone(),
        };
        table.open.insert(id, open);
        Some(OpenConnection(Connection { connections: Arc::clone(self), id, closed }))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Reserves memory for a part of the request's body, until the response. If there is none left, waits for it, and
    /// closes the connection that holds some for longest, and for more than a second, unless it waits, too.
    ///
    /// # Errors
    /// Returns an error if there is no memory for [`BODY_WAIT_TIMEOUT`]. Then the request holds none any more.
    pub async fn reserve_body(&self, bytes: usize) -> Result<(), Overloaded> {
        if let Some(open) = self.connections.lock().open.get_mut(&self.id) {
            open.waiting_since = Some(Instant::now());
        }
        let reserved = tokio::time::timeout(BODY_WAIT_TIMEOUT, self.wait_for_body(bytes)).await;
        reserved.map_err(|_| {
            self.begin_phase();
            Overloaded
        })
    }

    async fn wait_for_body(&self, bytes: usize) {
        let _turn = self.connections.body_turn.lock().await;
        loop {
            let changed = self.connections.changed.notified();
            if self.try_reserve_body(bytes) {
                return;
            }
            let _ = tokio::time::timeout(BODY_CHECK_INTERVAL, changed).await;
        }
    }

    fn try_reserve_body(&self, bytes: usize) -> bool {
        let mut table = self.connections.lock();
        let limit = self.connections.limits.body_bytes;
        while table.body_bytes + bytes > limit {
            let now = Instant::now();
            let holds_for_long = |id, open: &Open| {
                let is_waiting = id == self.id || open.waiting_since.is_some();
                !is_waiting && open.body_bytes > 0 && now.duration_since(open.since) >= BODY_GRACE
            };
            let Some(oldest) = table.oldest(holds_for_long) else { return false };
            table.close(oldest, "memory for request bodies");
        }
        let table = &mut *table;
        // A connection that was closed holds nothing: its request is being dropped.
        if let Some(open) = table.open.get_mut(&self.id) {
            open.body_bytes += bytes;
            table.body_bytes += bytes;
            open.since += open.waiting_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        }
        true
    }

    /// Protects the connection until the response: from now on the request has an effect, and the client must learn of it.
    ///
    /// # Errors
    /// Returns an error if too many are protected, or if this one is being closed.
    pub fn protect(&self) -> Result<(), Overloaded> {
        let mut table = self.connections.lock();
        if table.protected >= self.connections.limits.protected {
            return Err(Overloaded);
        }
        table.open.get_mut(&self.id).ok_or(Overloaded)?.is_protected = true;
        table.protected += 1;
        Ok(())
    }

    /// Begins the next phase: nothing is protected, and no memory is held.
    pub(crate) fn begin_phase(&self) {
        let mut table = self.connections.lock();
        let Some(open) = table.open.get_mut(&self.id) else { return };
        (open.since, open.waiting_since) = (Instant::now(), None);
        let (was_protected, released) =
            (std::mem::take(&mut open.is_protected), std::mem::take(&mut open.body_bytes));
        table.protected -= usize::from(was_protected);
        table.body_bytes -= released;
        drop(table);
        if was_protected || released > 0 {
            self.connections.changed.notify_waiters();
        }
    }

    /// Returns once the connection must be closed.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let connections = &self.0.connections;
        connections.lock().remove(self.0.id);
        connections.changed.notify_waiters();
    }
}

impl Table {
    /// Returns the connection that has been in its phase for longest, of those that are not protected and match.
    fn oldest(&self, matches: impl Fn(u64, &Open) -> bool) -> Option<u64> {
        let fit = self.open.iter().filter(|(id, open)| !open.is_protected && matches(**id, open));
        fit.min_by_key(|(_, open)| open.since).map(|(id, _)| *id)
    }

    /// Closes a connection. What it held is free at once; its task ends a moment later.
    fn close(&mut self, id: u64, used_up: &'static str) {
        let Some(open) = self.remove(id) else { return };
        open.close.cancel();
        self.closed += 1;
        if self.warned_at.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            warn!(
                used_up,
                closed = self.closed,
                "closing the connections that take longest: too many clients send or read slowly"
            );
            (self.closed, self.warned_at) = (0, Some(Instant::now()));
        }
    }

    fn remove(&mut self, id: u64) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.body_bytes -= open.body_bytes;
        self.protected -= usize::from(open.is_protected);
        Some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { connections: 4, protected: 3, body_bytes: 100 };

    async fn open_all(connections: &Arc<Connections>) -> Vec<OpenConnection> {
        let mut open = Vec::new();
        for _ in 0..LIMITS.connections {
            open.push(connections.open().await);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        open
    }

    fn is_closed(connection: &OpenConnection) -> bool {
        connection.0.closed.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn new_connection_closes_the_one_longest_in_its_phase() {
        let connections = Connections::new(LIMITS);
        let open = open_all(&connections).await;
        open[0].0.begin_phase();
        let _new = connections.open().await;
        assert_eq!(open.iter().map(is_closed).collect::<Vec<_>>(), [false, true, false, false]);
        assert_eq!(connections.lock().open.len(), LIMITS.connections);
    }

    #[tokio::test(start_paused = true)]
    async fn protected_connection_is_not_closed_and_a_reserve_stays() {
        let connections = Connections::new(LIMITS);
        let open = open_all(&connections).await;
        for each in &open[..3] {
            each.0.protect().unwrap();
        }
        assert!(open[3].0.protect().is_err(), "one of four connections is the reserve");
        let mut probe = connections.open().await;
        for _ in 0..10 {
            probe = connections.open().await;
        }
        assert_eq!(open.iter().map(is_closed).collect::<Vec<_>>(), [false, false, false, true]);
        open[0].0.begin_phase();
        probe.0.protect().unwrap();
        assert_eq!(connections.lock().protected, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_for_bodies_is_bounded_and_returned() {
        let connections = Connections::new(LIMITS);
        let open = open_all(&connections).await;
        open[0].0.reserve_body(60).await.unwrap();
        open[1].0.reserve_body(40).await.unwrap();
        let waited = Instant::now();
        open[2].0.reserve_body(50).await.unwrap();
        assert!(waited.elapsed() > BODY_GRACE / 2, "a body that is being received is not disturbed at once");
        assert_eq!(open.iter().map(is_closed).collect::<Vec<_>>(), [true, false, false, false]);
        assert_eq!(connections.lock().body_bytes, 90);
        open[1].0.begin_phase();
        assert_eq!(connections.lock().body_bytes, 50);
        drop(open);
        let table = connections.lock();
        assert_eq!((table.body_bytes, table.open.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn request_that_waits_for_memory_gets_it_when_a_response_releases_it() {
        let connections = Connections::new(LIMITS);
        let open = open_all(&connections).await;
        open[0].0.reserve_body(100).await.unwrap();
        let waited = Instant::now();
        let (waiting, releasing) = (open[1].0.clone(), open[0].0.clone());
        let (reserved, ()) = tokio::join!(waiting.reserve_body(1), async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            releasing.begin_phase();
        });
        reserved.unwrap();
        assert!(waited.elapsed() < BODY_CHECK_INTERVAL && !is_closed(&open[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn request_that_waits_for_memory_is_refused_and_not_closed() {
        let connections = Connections::new(LIMITS);
        let open = open_all(&connections).await;
        // It is being queued, and NATS does not answer.
        open[0].0.reserve_body(60).await.unwrap();
        open[0].0.protect().unwrap();
        open[1].0.reserve_body(40).await.unwrap();
        let waited = Instant::now();
        let (first, second) = tokio::join!(open[2].0.reserve_body(10), open[1].0.reserve_body(40));
        assert!(first.is_err() && second.is_err() && waited.elapsed() >= BODY_WAIT_TIMEOUT);
        assert_eq!(open.iter().map(is_closed).collect::<Vec<_>>(), [false; 4]);
        assert_eq!(connections.lock().body_bytes, 60, "who is refused holds nothing");
        open[1].0.reserve_body(40).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_a_request_waits_for_memory_does_not_count() {
        let connections = Connections::new(LIMITS);
        let open = open_all(&connections).await;
        open[0].0.reserve_body(100).await.unwrap();
        open[0].0.protect().unwrap();
        let (reserved, ()) = tokio::join!(open[1].0.reserve_body(100), async {
            tokio::time::sleep(BODY_GRACE * 2).await;
            open[0].0.begin_phase();
        });
        reserved.unwrap();
        let waited = Instant::now();
        open[2].0.reserve_body(1).await.unwrap();
        assert!(waited.elapsed() > BODY_GRACE / 2, "the first one has held memory for a moment only");
        assert!(is_closed(&open[1]));
    }
}
