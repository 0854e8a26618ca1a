//! Serving HTTP with the limits that `axum::serve` has no switch for: time for a request's head, and a number
//! of connections.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long a client may take to send a request's head.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// How long a client may leave an answer lying that does not fit its buffers, or not say that it has come.
#[cfg(target_os = "linux")]
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// The longest head of a request, and what is read ahead of a body: so much memory a connection at most.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Connections at once; the next one waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long open requests may take to end after a stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until stopped, then lets open requests end.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = graceful.watch(connection(stream, router.clone()));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        debug!(%error, "a connection ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Most likely out of descriptors: without a pause this would spin.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        warn!("some requests did not end in time");
    }
}

fn connection(
    stream: TcpStream,
    router: Router,
) -> hyper::server::conn::http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    // Answers are small; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    // Nor does hyper limit writes; without this, clients that never read would keep their places for ever.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(
        &stream,
        u32::try_from(ANSWER_WAIT.as_millis()).unwrap_or(u32::MAX),
    );
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}
