//! An HTTP server with limits that `axum::serve` has no options for: the size of the request head and a timeout for it, a
//! timeout for clients that do not read the response, and a maximum number of connections and of memory for bodies.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::connections::{Connection, Connections, Limits};
use super::descriptors;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long sent data may stay unacknowledged, or unsent because the client does not read it.
#[cfg(target_os = "linux")]
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum size of a request head: the request line and all headers. It is also the size of the read buffer.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// The maximum number of connections.
const MAX_CONNECTIONS: usize = 1024;
/// The maximum memory for bodies of all connections together.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How many connections the kernel keeps until they are accepted. If more arrive at a time, it drops them, and their
/// clients try again a second later.
const ACCEPT_QUEUE: u32 = 4096;
/// How long open requests may take after a stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after a failed accept. The usual reason is a lack of file descriptors: without a pause this would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on an address.
///
/// # Errors
/// Returns an error if the address is in use, or is not one of this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As `TcpListener::bind` does: the port is free at once after a restart.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE)
}

/// Serves until `stop`, then waits for open requests for up to [`DRAIN_TIMEOUT`].
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let connections = Connections::new(limits());
    loop {
        let accept = async {
            let (stream, _) = listener.accept().await?;
            Ok::<_, io::Error>((stream, connections.open().await))
        };
        let accepted = tokio::select! {
            accepted = accept => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, open)) => {
                let served = graceful.watch(serve_connection(stream, router.clone(), open.0.clone()));
                tokio::spawn(async move {
                    tokio::select! {
                        // First, so that a response that is complete is sent in any case.
                        biased;
                        ended = served => if let Err(error) = ended {
                            debug!(%error, "connection ended early");
                        },
                        () = open.0.closed() => debug!("connection closed to make room"),
                    }
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        warn!(timeout_ms = DRAIN_TIMEOUT.as_millis(), "some requests did not finish in time");
    }
}

/// The limits of a server. A quarter of the connections is never protected: it is the reserve with which `/healthz`,
/// `/readyz` and `/metrics` answer whatever other clients do.
fn limits() -> Limits {
    let connections = descriptors::connections(MAX_CONNECTIONS);
    if connections < MAX_CONNECTIONS {
        warn!(
            connections,
            "the limit of open files permits only this many connections: raise it (ulimit -Hn, LimitNOFILE)"
        );
    }
    Limits { connections, protected: connections / 4 * 3, body_bytes: MAX_BODY_BYTES }
}

fn serve_connection(
    stream: TcpStream,
    router: Router,
    connection: Connection,
) -> impl GracefulConnection<Error = hyper::Error> {
    // Responses are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    // hyper has no write timeout. Without one, clients that never read would keep their connections for ever.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(
        &stream,
        u32::try_from(WRITE_TIMEOUT.as_millis()).unwrap_or(u32::MAX),
    );
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        connection.begin_phase();
        request.extensions_mut().insert(connection.clone());
        let (response, connection) = (router.call(request), connection.clone());
        async move {
            let response = response.await;
            connection.begin_phase();
            response
        }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
}
