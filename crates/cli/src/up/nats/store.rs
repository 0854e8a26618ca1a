//! Noticing that the server stores nothing any more, although its disk has room.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use gavel_bus::topology::Stream;
use gavel_bus::{Bus, StoreError};

/// How often each stream is checked.
const STORE_CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// After how many failed checks in a row the server is restarted.
const FAILURES_BEFORE_RESTART: u32 = 3;
/// How much room the disk must have for a restart: that of the largest message.
const ROOM_BYTES: usize = 8 << 20;

/// Returns once a stream has not stored messages for a while, although the disk has room: after a failed write, nats-server
/// refuses all further ones of that stream until it is restarted.
pub(super) async fn until_restart_helps(bus: &Bus, data_dir: &Path) -> StoreError {
    let mut failures = 0;
    loop {
        tokio::time::sleep(STORE_CHECK_INTERVAL).await;
        let Some(problem) = find_broken_stream(bus).await else {
            failures = 0;
            continue;
        };
        failures += 1;
        if failures >= FAILURES_BEFORE_RESTART && has_room(data_dir).await {
            return problem;
        }
    }
}

/// Returns the first problem that a restart may solve. It does not create a missing stream.
async fn find_broken_stream(bus: &Bus) -> Option<StoreError> {
    for stream in Stream::ALL {
        if let Err(problem) = bus.check_store(stream).await
            && problem.needs_restart()
        {
            return Some(problem);
        }
    }
    None
}

/// Whether a file of [`ROOM_BYTES`] can be written.
async fn has_room(data_dir: &Path) -> bool {
    let path = data_dir.join("room");
    let write = move || {
        let mut file = File::create(&path)?;
        let written = file.write_all(&vec![0; ROOM_BYTES]).and_then(|()| file.sync_all());
        fs::remove_file(&path)?;
        written
    };
    tokio::task::spawn_blocking(write).await.is_ok_and(|written| written.is_ok())
}
