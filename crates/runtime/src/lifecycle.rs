//! The two steps of a shutdown: stop taking work, then abort the work in progress.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The tokens that tell a service to shut down.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Take no new work; finish the work in progress.
    pub stop: CancellationToken,
    /// Return the work in progress to its queue.
    pub abort: CancellationToken,
}

impl Lifecycle {
    /// Cancels `stop` on the first SIGTERM or SIGINT, and `abort` on the second one or when `grace` is over.
    ///
    /// # Errors
    /// Returns an error if the signal handlers cannot be installed.
    pub fn on_signals(grace: Duration) -> std::io::Result<Self> {
        let lifecycle = Self::default();
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let tokens = lifecycle.clone();
        tokio::spawn(async move {
            either(&mut term, &mut int).await;
            info!(grace_ms = grace.as_millis(), "stopping: finishing the work in progress");
            tokens.stop.cancel();
            if tokio::time::timeout(grace, either(&mut term, &mut int)).await.is_ok() {
                warn!("second signal: returning the work in progress to its queue");
            }
            tokens.abort.cancel();
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
