//! Reads the stored events of the last hour, and then the new ones as they are stored.
//!
//! It reads streams and not a live subscription: each message has its place, so that a lost connection, or a pause,
//! leaves nothing out and repeats nothing.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gavel_describe::explanation::Explanation;
use gavel_inspect::{InspectError, Message, StoredMessages};

use crate::history::MINUTES;
use crate::nats;
use crate::state::State;
use crate::table::Table;

/// How often new messages are read while someone watches.
const ACTIVE_INTERVAL: Duration = Duration::from_millis(200);
/// How often they are read while no one does.
const IDLE_INTERVAL: Duration = Duration::from_secs(2);
/// The pause after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// After this many messages readers see the changes, and get their turn.
const MAX_BATCH: usize = 500;

/// Follows the events until it is aborted.
pub(crate) async fn follow(state: Arc<State>) {
    let (mut stored, mut known_connects) = (None, 0);
    loop {
        state.bus.connection().wait_connected().await;
        let connects = state.bus.connection().state().borrow().connects;
        let is_new_connection = connects != known_connects;
        let read = tokio::select! {
            read = read_all(&state, &mut stored, is_new_connection) => read,
            () = nats::until_disconnected(&state.bus) => Err(InspectError::NoAnswer),
        };
        if read.is_ok() {
            known_connects = connects;
        }
        let pause = match &read {
            Err(_) => RETRY_INTERVAL,
            Ok(()) if state.has_readers() => ACTIVE_INTERVAL,
            Ok(()) => IDLE_INTERVAL,
        };
        if let Err(InspectError::NoStream(_)) = &read {
            begin_again(&state, &mut stored);
        }
        state.table().problem = read.err().map(|error| Explanation::from(&error).message);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = state.reader_came.notified() => {}
        }
    }
}

/// Forgets what was read: the server has lost its store, or has none yet.
fn begin_again(state: &State, stored: &mut Option<StoredMessages>) {
    *stored = None;
    *state.table() = Table::default();
    state.changes.send_modify(|changes| *changes += 1);
}

/// Reads to the present end. May be cancelled: the next call continues. The server of a new connection may have lost its
/// store.
async fn read_all(
    state: &State,
    stored: &mut Option<StoredMessages>,
    is_new_connection: bool,
) -> Result<(), InspectError> {
    if is_new_connection
        && let Some(reading) = stored
        && !reading.can_continue().await?
    {
        begin_again(state, stored);
    }
    let since = SystemTime::now() - Duration::from_secs(MINUTES * 60);
    let stored = stored.get_or_insert_with(|| state.inspector.stored_messages(since));
    stored.resume();
    loop {
        // Messages are taken note of as they are read, so that a cancelled reading loses none.
        let mut count = 0;
        while count < MAX_BATCH
            && let Some(message) = stored.next().await?
        {
            note(state, &message);
            count += 1;
        }
        if count == 0 {
            break;
        }
        state.changes.send_modify(|changes| *changes += 1);
        tokio::task::yield_now().await;
    }
    let mut table = state.table();
    if !table.is_complete {
        table.is_complete = true;
        drop(table);
        state.changes.send_modify(|changes| *changes += 1);
    }
    Ok(())
}

fn note(state: &State, message: &Message) {
    state.table().note(message);
}
