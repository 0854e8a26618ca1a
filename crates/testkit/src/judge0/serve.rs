//! The routes of mock Judge0.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::fault::{Judge0Fault, Route, TestFault};
use super::program::Program;
use super::recorded::{CONFIG, LANGUAGES, body};
use super::{RecordedRequest, Shared, State};

const MAX_BODY_BYTES: usize = 64 << 20;
/// The fields of a batch if none are asked for, as recorded.
const DEFAULT_FIELDS: &str = "stdout,time,memory,stderr,token,compile_output,message,status";

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

async fn serve(Extract(shared): Extract<Arc<Shared>>, request: Request) -> Response {
    let (head, sent) = request.into_parts();
    let sent = to_bytes(sent, MAX_BODY_BYTES).await.unwrap_or_default();
    let sent: Value = serde_json::from_slice(&sent).unwrap_or_default();
    let path = head.uri.path().to_owned();
    let query = query(head.uri.query().unwrap_or_default());
    let route = route(&head.method, &path);
    let submissions = sent["submissions"].as_array().map_or_else(|| tokens(&query).len(), Vec::len);
    let headers = head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-"));
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
    let (answer, fault) = {
        let mut state = shared.lock();
        let request = RecordedRequest { route, submissions, headers: headers.collect() };
        let refusal = if !is_authenticated(&state, &request) {
            Some(StatusCode::UNAUTHORIZED)
        } else if route == Route::Delete && !may_delete(&state, &request) {
            Some(StatusCode::FORBIDDEN)
        } else {
            None
        };
        state.requests.push(request);
        let fault = state.faults.next_fault(route);
        let has_effect =
            fault.as_ref().is_none_or(|fault| matches!(fault, Judge0Fault::Half | Judge0Fault::Slow(_)));
        let answer = match (refusal, has_effect) {
            (Some(status), _) => Err(status),
            (None, false) => Ok((500, Value::Null)),
            (None, true) => Ok(answer(&mut state, route, &path, &query, &sent)),
        };
        (answer, fault)
    };
    shared.changed();
    match answer {
        // As recorded: no body, and HTML.
        Err(status) => (status, [(header::CONTENT_TYPE, "text/html")], "").into_response(),
        Ok((status, answer)) => with_fault(status, &answer, fault).await,
    }
}

async fn with_fault(status: u16, answer: &Value, fault: Option<Judge0Fault>) -> Response {
    match fault {
        None => json_of(status, answer.to_string()),
        Some(Judge0Fault::Slow(by)) => {
            tokio::time::sleep(by).await;
            json_of(status, answer.to_string())
        }
        Some(Judge0Fault::Status { code, retry_after, body }) => {
            let mut response = json_of(code, body.to_owned());
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Some(Judge0Fault::Page(code)) => {
            let code = StatusCode::from_u16(code).expect("a status");
            (code, [(header::CONTENT_TYPE, "text/html")], "<!doctype html><title>Sign in</title>")
                .into_response()
        }
        Some(Judge0Fault::OtherJson) => json_of(200, json!({ "hello": ["world"] }).to_string()),
        Some(Judge0Fault::Half) => {
            let text = answer.to_string();
            let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
            let end = stream::once(async { Err(std::io::Error::other("cut")) });
            let mut response = Response::new(Body::from_stream(stream::once(async { Ok(half) }).chain(end)));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
            response
        }
    }
}

fn json_of(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

fn answer(
    state: &mut State,
    route: Route,
    path: &str,
    query: &HashMap<String, String>,
    sent: &Value,
) -> (u16, Value) {
    match route {
        Route::Config => (200, config(state)),
        Route::Languages => (200, body(LANGUAGES)),
        Route::PostBatch => post_batch(state, sent),
        Route::GetBatch => get_batch(state, query),
        Route::Post => {
            let entries = [sent.clone()];
            let (status, posted) = post(state, &entries);
            (if status == 201 && posted[0]["token"].is_null() { 422 } else { status }, first(posted))
        }
        Route::Get => {
            let cache = state.settings.cache;
            let report = state.queue.cached(path.rsplit('/').next().unwrap_or_default(), cache);
            (if report.is_null() { 404 } else { 200 }, report)
        }
        Route::Delete => delete(state, path, query),
        Route::Workers => (200, state.queue.workers()),
        Route::Other => (404, json!({ "status": 404, "error": "Not Found" })),
    }
}

fn delete(state: &mut State, path: &str, query: &HashMap<String, String>) -> (u16, Value) {
    if config(state)["enable_submission_delete"] != true {
        return (400, json!({ "error": "delete not allowed" }));
    }
    let fields: Vec<&str> = query.get("fields").map_or(DEFAULT_FIELDS, String::as_str).split(',').collect();
    state.queue.delete(path.rsplit('/').next().unwrap_or_default(), &fields)
}

fn post_batch(state: &mut State, sent: &Value) -> (u16, Value) {
    let entries = sent["submissions"].as_array().cloned().unwrap_or_default();
    let max = config(state)["max_submission_batch_size"].as_u64().unwrap_or(20);
    if entries.is_empty() {
        return (400, json!({ "error": "there should be at least one submission in a batch" }));
    }
    if entries.len() as u64 > max {
        let error = format!("number of submissions in a batch should be less than or equal to {max}");
        return (400, json!({ "error": error }));
    }
    let (status, posted) = post(state, &entries);
    let has_token = posted.as_array().is_some_and(|posted| posted.iter().any(|it| !it["token"].is_null()));
    (if status == 201 && !has_token { 422 } else { status }, posted)
}

fn post(state: &mut State, entries: &[Value]) -> (u16, Value) {
    if state.queue.waiting() + entries.len() > state.settings.max_queue {
        return (503, json!({ "error": "queue is full" }));
    }
    let config = config(state);
    let mut posted = Vec::new();
    for entry in entries {
        if let Some(errors) = errors(entry, &config) {
            posted.push(errors);
            continue;
        }
        let program = Program::read(entry);
        let report = (state.settings.script)(&program);
        let test_fault: Option<TestFault> = state.faults.next_test_fault();
        let token = state.queue.push(program, report, test_fault, state.settings.test_time);
        posted.push(json!({ "token": token }));
    }
    (201, Value::Array(posted))
}

/// The recorded validation errors that the client can cause.
fn errors(entry: &Value, config: &Value) -> Option<Value> {
    let mut errors = serde_json::Map::new();
    let mut reject = |field: &str, text: String| {
        errors.insert(field.to_owned(), json!([text]));
    };
    // Judge0 decodes the source before it checks it.
    if Program::read(entry).source.trim().is_empty() {
        reject("source_code", "can't be blank".to_owned());
    }
    let language = entry["language_id"].as_u64().unwrap_or_default();
    if !(43..=89).contains(&language) {
        reject("language_id", format!("language with id {language} doesn't exist"));
    }
    let bounds = [
        ("cpu_time_limit", 0.0, "max_cpu_time_limit"),
        ("wall_time_limit", 1.0, "max_wall_time_limit"),
        ("memory_limit", 2048.0, "max_memory_limit"),
        ("stack_limit", 0.0, "max_stack_limit"),
        ("max_file_size", 0.0, "max_max_file_size"),
    ];
    for (field, least, most) in bounds {
        let (Some(value), Some(most)) = (entry[field].as_f64(), config[most].as_f64()) else { continue };
        if value < least {
            reject(field, format!("must be greater than or equal to {least}"));
        }
        if value > most {
            reject(field, format!("must be less than or equal to {most}"));
        }
    }
    (!errors.is_empty()).then_some(Value::Object(errors))
}

fn get_batch(state: &State, query: &HashMap<String, String>) -> (u16, Value) {
    let tokens = tokens(query);
    let max = config(state)["max_submission_batch_size"].as_u64().unwrap_or(20);
    if tokens.is_empty() {
        return (400, json!({ "error": "there should be at least one submission in a batch" }));
    }
    if tokens.len() as u64 > max {
        let error = format!("number of submissions in a batch should be less than or equal to {max}");
        return (400, json!({ "error": error }));
    }
    let fields: Vec<&str> = query.get("fields").map_or(DEFAULT_FIELDS, String::as_str).split(',').collect();
    let reports: Vec<Value> = tokens.iter().map(|token| state.queue.report(token, &fields)).collect();
    (200, json!({ "submissions": reports }))
}

fn config(state: &State) -> Value {
    let mut config = body(CONFIG);
    config["max_queue_size"] = state.settings.max_queue.into();
    for (field, value) in state.settings.config.as_object().into_iter().flatten() {
        config[field] = value.clone();
    }
    // A field that is overridden with null is hidden.
    if let Some(config) = config.as_object_mut() {
        config.retain(|_, value| !value.is_null());
    }
    config
}

/// Whether the caller is authenticated.
fn is_authenticated(state: &State, request: &RecordedRequest) -> bool {
    let keys = &state.settings.keys;
    let has_key = request.headers.iter().any(|(name, value)| name == "x-auth-token" && keys.contains(value));
    keys.is_empty() || has_key || (request.route == Route::Config && state.settings.is_config_public)
}

/// Whether the caller may delete submissions.
fn may_delete(state: &State, request: &RecordedRequest) -> bool {
    let key = state.settings.deletion_key.as_ref();
    key.is_some_and(|key| request.headers.iter().any(|(name, value)| name == "x-auth-user" && value == key))
}

fn route(method: &Method, path: &str) -> Route {
    match (method.as_str(), path) {
        ("GET", "/config_info") => Route::Config,
        ("GET", "/languages") => Route::Languages,
        ("POST", "/submissions/batch") => Route::PostBatch,
        ("GET", "/submissions/batch") => Route::GetBatch,
        ("POST", "/submissions") => Route::Post,
        ("GET", "/workers") => Route::Workers,
        ("DELETE", path) if path.starts_with("/submissions/") => Route::Delete,
        ("GET", path) if path.starts_with("/submissions/") => Route::Get,
        _ => Route::Other,
    }
}

fn query(text: &str) -> HashMap<String, String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

fn tokens(query: &HashMap<String, String>) -> Vec<&str> {
    query
        .get("tokens")
        .map(|tokens| tokens.split(',').filter(|it| !it.is_empty()).collect())
        .unwrap_or_default()
}

fn first(posted: Value) -> Value {
    match posted {
        Value::Array(mut posted) => posted.swap_remove(0),
        other => other,
    }
}
