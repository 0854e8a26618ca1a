//! One call from its arrival to its answer, injected faults included.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::{
    fault::Fault,
    gate::Place,
    listener::Wire,
    record::{Answer, Call},
    store::{Arrival, Shared},
    validate::Refusal,
};

/// The pieces a slow answer is sent in.
const SLOW_PIECES: usize = 8;

/// Serves a call. One that is held or goes wrong runs on its own, so that it has its effect also after its caller
/// has gone, as a request that reached the real app would.
pub(crate) async fn serve(shared: Arc<Shared>, arrival: Arrival, wire: Wire) -> Response {
    if arrival.is_plain() {
        let result = shared.apply(&arrival.call);
        return answer(&shared, &arrival.call, result, None);
    }
    let run = tokio::spawn(async move { misbehave(&shared, &arrival, &wire).await });
    // It ends early only when the runtime does.
    run.await.unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn misbehave(shared: &Shared, arrival: &Arrival, wire: &Wire) -> Response {
    let call = &*arrival.call;
    if let Some(gate) = arrival.held_at(Place::BeforeApplying)
        && !unless_closing(shared, gate.pass()).await
    {
        return cut(shared, call, wire, "the stand-in was shut down");
    }
    if let Some(Fault::ApplyLate(delay)) = arrival.fault
        && !unless_closing(shared, tokio::time::sleep(delay)).await
    {
        return cut(shared, call, wire, "the stand-in was shut down");
    }
    let has_effect = arrival.fault.as_ref().is_none_or(Fault::applies);
    let applied = has_effect.then(|| shared.apply(call));
    // Whoever waits for the effect need not wait for the answer.
    shared.changed();
    if let Some(gate) = arrival.held_at(Place::BeforeAnswering)
        && !unless_closing(shared, gate.pass()).await
    {
        return cut(shared, call, wire, "the stand-in was shut down");
    }
    if let Some(Fault::Hang(delay)) = arrival.fault
        && !unless_closing(shared, tokio::time::sleep(delay)).await
    {
        return cut(shared, call, wire, "the stand-in was shut down");
    }
    match (applied, &arrival.fault) {
        (Some(result), Some(Fault::ApplyThenReset)) => {
            let reason =
                result.err().map_or_else(|| "reset after applying".to_owned(), |refusal| refusal.reason);
            cut(shared, call, wire, &reason)
        }
        (Some(result), fault) => answer(shared, call, result, fault.as_ref()),
        (None, Some(fault)) => instead(shared, call, fault, wire),
        (None, None) => unreachable!("a call without a fault is applied"),
    }
}

/// Waits, but not longer than the server lives; whether the wait came to its end.
async fn unless_closing(shared: &Shared, wait: impl Future<Output = ()>) -> bool {
    shared.closing.run_until_cancelled(wait).await.is_some()
}

/// The answer to a call that was carried out, or refused.
fn answer(shared: &Shared, call: &Call, result: Result<Bytes, Refusal>, fault: Option<&Fault>) -> Response {
    let injected = fault.map(|fault| format!("{fault:?}"));
    match result {
        Ok(body) => {
            note(shared, call, Some(200), injected);
            let body = match fault {
                Some(Fault::HalfBody) => return json(StatusCode::OK, half(&body), Some(body.len())),
                Some(Fault::Slow(over)) => slow(&body, *over),
                _ => Body::from(body),
            };
            json(StatusCode::OK, body, None)
        }
        Err(Refusal { status, reason }) => {
            let body = refusal_body(status, call, &reason);
            note(shared, call, Some(status), Some(reason));
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json(status, Body::from(body), None)
        }
    }
}

/// The text of a thrown error is hidden, as in production; the others say what is wrong.
fn refusal_body(status: u16, call: &Call, reason: &str) -> String {
    if status == 500 {
        format!(r#"{{"code":"[Request ID: {:016x}] Server Error"}}"#, call.number)
    } else {
        serde_json::json!({ "error": reason }).to_string()
    }
}

/// What is answered in place of carrying the call out.
fn instead(shared: &Shared, call: &Call, fault: &Fault, wire: &Wire) -> Response {
    let injected = Some(format!("{fault:?}"));
    let (code, extra, body) = match fault {
        Fault::Status { code, retry_after, body } => {
            let extra = retry_after.as_deref().map(|value| (header::RETRY_AFTER, value.to_owned()));
            (*code, extra, body.clone())
        }
        Fault::Html(code) => {
            let page = "<!doctype html><title>Sign in</title><p>This is not the site you asked for.";
            (*code, Some((header::CONTENT_TYPE, "text/html".to_owned())), page.to_owned())
        }
        Fault::Redirect(code, to) => (*code, Some((header::LOCATION, to.clone())), String::new()),
        _ => return cut(shared, call, wire, "reset before applying"),
    };
    note(shared, call, Some(code), injected);
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    if let Some((name, value)) = extra {
        insert(&mut response, name, &value);
    }
    response
}

/// Ends the connection without an answer.
fn cut(shared: &Shared, call: &Call, wire: &Wire, reason: &str) -> Response {
    note(shared, call, None, Some(reason.to_owned()));
    wire.cut();
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

fn note(shared: &Shared, call: &Call, status: Option<u16>, reason: Option<String>) {
    let answer = Answer { at: Instant::now(), wall: SystemTime::now(), status, reason };
    // Each call is answered once.
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

/// Leaves a header out that a test gave an impossible value.
fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The first half, then an error that ends the connection.
fn half(body: &Bytes) -> Body {
    let half = body.slice(..body.len() / 2);
    let end = stream::once(async {
        // One turn, in which what is there already is written out.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(stream::once(async { Ok(half) }).chain(end))
}

/// The whole of it in a few pieces with pauses between.
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
