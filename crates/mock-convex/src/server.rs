//! The routes, and the task that serves them.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing,
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    endpoint::Endpoint,
    listener::{ResetSwitch, ResettableListener},
    pages, record, serve,
    store::Shared,
};

/// The largest accepted request body, in bytes.
const MAX_BODY_BYTES: usize = 8 << 20;

/// Listens and starts to serve; returns the address and the task.
pub(crate) async fn start(shared: Arc<Shared>, bind: SocketAddr) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(bind).await?;
    let address = listener.local_addr()?;
    let closing = shared.closing.clone().cancelled_owned();
    let service = routes(shared).into_make_service_with_connect_info::<ResetSwitch>();
    let serving = axum::serve(ResettableListener(listener), service).with_graceful_shutdown(closing);
    // Serving ends only with the shutdown: the listener retries its own errors.
    let task = tokio::spawn(async move {
        let _ = serving.await;
    });
    Ok((address, task))
}

fn routes(shared: Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route("/", routing::get(pages::overview).fallback(wrong_path))
        .route("/submissions/{id}", routing::get(pages::submission).fallback(wrong_path));
    for endpoint in Endpoint::ALL {
        let call = async move |State(shared): State<Arc<Shared>>,
                               ConnectInfo(switch): ConnectInfo<ResetSwitch>,
                               headers: HeaderMap,
                               body: Bytes| {
            let incoming = shared.arrive(endpoint, record::recorded_headers(&headers), &body);
            serve::serve(shared, incoming, switch).await
        };
        router = router.route(endpoint.path(), routing::post(call).fallback(wrong_path));
    }
    router.fallback(wrong_path).layer(DefaultBodyLimit::max(MAX_BODY_BYTES)).with_state(shared)
}

/// Answers a path or method that the app does not have.
async fn wrong_path(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    shared.record_wrong_path(uri.path().chars().take(256).collect());
    (StatusCode::NOT_FOUND, "No matching routes found").into_response()
}
