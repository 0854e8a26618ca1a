//! The two steps of an end: stop taking work, then abort what is in hand.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The tokens that a service watches.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Take no new work; finish what is in hand.
    pub stop: CancellationToken,
    /// Hand back what is in hand.
    pub abort: CancellationToken,
}

impl Lifecycle {
    /// Tokens that the first SIGTERM or SIGINT stops, and that a second one, or the end of the grace, aborts.
    ///
    /// # Errors
    /// Where the process cannot listen to signals.
    pub fn on_signals(grace: Duration) -> std::io::Result<Self> {
        let lifecycle = Self::default();
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let watched = lifecycle.clone();
        tokio::spawn(async move {
            either(&mut term, &mut int).await;
            info!(grace_ms = grace.as_millis(), "stopping: finishing what is in hand");
            watched.stop.cancel();
            if tokio::time::timeout(grace, either(&mut term, &mut int)).await.is_ok() {
                warn!("asked again: handing back what is in hand");
            }
            watched.abort.cancel();
        });
        Ok(lifecycle)
    }
}

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}
