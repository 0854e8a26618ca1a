//! Serves one call from its arrival to its answer, including injected faults.

use std::{
    io::{self, Read},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt, stream};

use crate::{
    fault::HttpFault,
    hold::HoldPoint,
    listener::ResetSwitch,
    record::{Answer, ReceivedCall},
    store::{IncomingCall, Shared},
    validate::Rejection,
};

/// How many pieces a slow answer is sent in.
const SLOW_PIECES: usize = 8;

/// Serves a call. A held or faulty call runs in its own task, so that it has its effect even after its caller has gone,
/// as a request that reached the real app would.
pub(crate) async fn serve(shared: Arc<Shared>, incoming: IncomingCall, switch: ResetSwitch) -> Response {
    if incoming.is_plain() {
        let result = shared.apply(&incoming.call);
        return answer(&shared, &incoming.call, result, None);
    }
    let run = tokio::spawn(async move { serve_with_fault(&shared, &incoming, &switch).await });
    // It ends early only when the runtime does.
    run.await.unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn serve_with_fault(shared: &Shared, incoming: &IncomingCall, switch: &ResetSwitch) -> Response {
    let call = &*incoming.call;
    if let Some(hold) = incoming.hold_at(HoldPoint::BeforeApplying)
        && !unless_closing(shared, hold.pass()).await
    {
        return reset(shared, call, switch, "mock Convex was shut down");
    }
    if let Some(HttpFault::ApplyLate(delay)) = incoming.fault
        && !unless_closing(shared, tokio::time::sleep(delay)).await
    {
        return reset(shared, call, switch, "mock Convex was shut down");
    }
    let has_effect = incoming.fault.as_ref().is_none_or(HttpFault::applies);
    let applied = has_effect.then(|| shared.apply(call));
    // A test that waits for the effect need not wait for the answer.
    shared.changed();
    if let Some(hold) = incoming.hold_at(HoldPoint::BeforeAnswering)
        && !unless_closing(shared, hold.pass()).await
    {
        return reset(shared, call, switch, "mock Convex was shut down");
    }
    if let Some(HttpFault::Hang(delay)) = incoming.fault
        && !unless_closing(shared, tokio::time::sleep(delay)).await
    {
        return reset(shared, call, switch, "mock Convex was shut down");
    }
    match (applied, &incoming.fault) {
        (Some(result), Some(HttpFault::ApplyThenReset)) => {
            let reason =
                result.err().map_or_else(|| "reset after applying".to_owned(), |rejection| rejection.reason);
            reset(shared, call, switch, &reason)
        }
        (Some(result), fault) => answer(shared, call, result, fault.as_ref()),
        (None, Some(fault)) => faulty_response(shared, call, fault, switch),
        (None, None) => unreachable!("a call without a fault is applied"),
    }
}

/// Waits until `wait` is done or the server shuts down; returns whether `wait` is done.
async fn unless_closing(shared: &Shared, wait: impl Future<Output = ()>) -> bool {
    shared.closing.run_until_cancelled(wait).await.is_some()
}

/// The answer to a call that was applied or rejected.
fn answer(
    shared: &Shared,
    call: &ReceivedCall,
    result: Result<Bytes, Rejection>,
    fault: Option<&HttpFault>,
) -> Response {
    let injected = fault.map(|fault| format!("{fault:?}"));
    match result {
        Ok(body) => {
            record_answer(shared, call, Some(200), injected);
            let body = match fault {
                Some(HttpFault::HalfBody) => return json(StatusCode::OK, half(&body), Some(body.len())),
                Some(HttpFault::CutBody) => Body::from(body.slice(..body.len() / 2)),
                Some(HttpFault::Gzip) => return gzipped(&mut &body[..]),
                Some(HttpFault::Slow(over)) => slow(&body, *over),
                _ => Body::from(body),
            };
            json(StatusCode::OK, body, None)
        }
        Err(Rejection { status, reason }) => {
            let body = rejection_body(status, call, &reason);
            record_answer(shared, call, Some(status), Some(reason));
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json(status, Body::from(body), None)
        }
    }
}

/// The text of a thrown error is hidden, as in production; other errors include it.
fn rejection_body(status: u16, call: &ReceivedCall, reason: &str) -> String {
    if status == 500 {
        format!(r#"{{"code":"[Request ID: {:016x}] Server Error"}}"#, call.number)
    } else {
        serde_json::json!({ "error": reason }).to_string()
    }
}

/// The answer to a call that an injected fault keeps from being applied.
fn faulty_response(
    shared: &Shared,
    call: &ReceivedCall,
    fault: &HttpFault,
    switch: &ResetSwitch,
) -> Response {
    let injected = Some(format!("{fault:?}"));
    let (code, extra, body) = match fault {
        HttpFault::Status { code, retry_after, body } => {
            let extra = retry_after.as_deref().map(|value| (header::RETRY_AFTER, value.to_owned()));
            (*code, extra, body.clone())
        }
        HttpFault::Html(code) => {
            let page = "<!doctype html><title>Sign in</title><p>This is not the site you asked for.";
            (*code, Some((header::CONTENT_TYPE, "text/html".to_owned())), page.to_owned())
        }
        HttpFault::Redirect(code, to) => (*code, Some((header::LOCATION, to.clone())), String::new()),
        HttpFault::Refused(code) => {
            let body = rejection_body(*code, call, "refused by a fault");
            (*code, Some((header::CONTENT_TYPE, "application/json".to_owned())), body)
        }
        HttpFault::GzipBomb(bytes) => {
            record_answer(shared, call, Some(200), injected);
            return gzipped(&mut io::repeat(b' ').take(*bytes));
        }
        HttpFault::Foreign(code, media, body) => {
            (*code, Some((header::CONTENT_TYPE, (*media).to_owned())), body.clone())
        }
        _ => return reset(shared, call, switch, "reset before applying"),
    };
    record_answer(shared, call, Some(code), injected);
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    if let Some((name, value)) = extra {
        insert(&mut response, name, &value);
    }
    response
}

/// Resets the connection without an answer.
fn reset(shared: &Shared, call: &ReceivedCall, switch: &ResetSwitch, reason: &str) -> Response {
    record_answer(shared, call, None, Some(reason.to_owned()));
    switch.reset();
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

fn record_answer(shared: &Shared, call: &ReceivedCall, status: Option<u16>, reason: Option<String>) {
    let answer = Answer { at: Instant::now(), wall: SystemTime::now(), status, reason };
    // Cannot fail: each call is answered once.
    let _ = call.answer.set(answer);
    shared.changed();
}

fn json(status: StatusCode, body: Body, content_length: Option<usize>) -> Response {
    let mut response = (status, body).into_response();
    insert(&mut response, header::CONTENT_TYPE, "application/json");
    if let Some(length) = content_length {
        insert(&mut response, header::CONTENT_LENGTH, &length.to_string());
    }
    response
}

/// A compressed body with status 200.
fn gzipped(body: &mut dyn Read) -> Response {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    io::copy(body, &mut encoder).expect("memory takes everything");
    let body = encoder.finish().expect("memory takes everything");
    let mut response = json(StatusCode::OK, Body::from(body), None);
    insert(&mut response, header::CONTENT_ENCODING, "gzip");
    response
}

/// Sets a header, unless a test gave it an invalid value.
fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The first half of a body, then an error that ends the connection.
fn half(body: &Bytes) -> Body {
    let half = body.slice(..body.len() / 2);
    let end = stream::once(async {
        // Yields once, so that the first half is written.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(stream::once(async { Ok(half) }).chain(end))
}

/// The whole body, in a few pieces with pauses in between.
fn slow(body: &Bytes, over: Duration) -> Body {
    let size = body.len().div_ceil(SLOW_PIECES).max(1);
    let pieces: Vec<Bytes> =
        (0..body.len()).step_by(size).map(|at| body.slice(at..body.len().min(at + size))).collect();
    let pause = over / u32::try_from(pieces.len().max(1)).unwrap_or(u32::MAX);
    Body::from_stream(stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, io::Error>(piece)
    }))
}
