//! Pages for people: an overview, and one submission as JSON.

use std::{fmt::Write, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};

use crate::{
    endpoint::{Endpoint, SubmissionKind},
    state::Status,
    store::Shared,
};

/// How many submissions the overview shows.
const SHOWN: usize = 100;

/// `GET /`: the questions and the latest submissions.
pub(crate) async fn overview(State(shared): State<Arc<Shared>>) -> Html<String> {
    let (mut questions, submissions, known, counts) = {
        let state = shared.lock();
        let questions = state.questions.values().map(|q| (q.kind, q.id.clone(), q.test_cases));
        (
            questions.collect::<Vec<_>>(),
            state.submissions.latest(SHOWN),
            state.submissions.len(),
            state.counts,
        )
    };
    questions.sort_unstable_by(|a, b| (a.0.as_str(), &a.1).cmp(&(b.0.as_str(), &b.1)));
    Html(page(&questions, &submissions, known, counts))
}

/// `GET /submissions/{id}`: the state as JSON, or 404 if it is unknown.
pub(crate) async fn submission(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let state = shared.lock().submissions.state(&id);
    match state {
        Some(state) => Json(state).into_response(),
        None => (StatusCode::NOT_FOUND, Json(serde_json::json!({ "error": "no such submission" })))
            .into_response(),
    }
}

fn page(
    questions: &[(SubmissionKind, String, usize)],
    submissions: &[(String, Status)],
    known: usize,
    counts: [u64; 6],
) -> String {
    let mut html = String::from(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2><title>Mock Convex</title>\
         <style>body{font:15px system-ui;margin:2rem}td,th{padding:.1rem 1rem .1rem 0;text-align:left}</style>\
         <h1>Mock Convex</h1><h2>Questions</h2><table>",
    );
    for (kind, id, cases) in questions {
        let (kind, id) = (kind.as_str(), escaped(id));
        write_to(&mut html, format_args!("<tr><td>{id}<td>{kind}<td>{cases} tests"));
    }
    write_to(&mut html, format_args!("</table><h2>Submissions ({known})</h2><table>"));
    for (id, status) in submissions {
        let id = escaped(id);
        write_to(&mut html, format_args!("<tr><td><a href=\"/submissions/{id}\">{id}</a><td>{status}"));
    }
    html.push_str("</table><h2>Calls</h2><table>");
    for (endpoint, count) in Endpoint::ALL.into_iter().zip(counts) {
        write_to(&mut html, format_args!("<tr><td>{endpoint}<td>{count}"));
    }
    html.push_str("</table>");
    html
}

fn write_to(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("writing to a string cannot fail");
}

/// Escapes text for an element and for a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_escaped_in_html() {
        let questions = [(SubmissionKind::Standard, "<script>".to_owned(), 1)];
        let submissions = [("\"><img src=x>".to_owned(), Status::Running)];
        let html = page(&questions, &submissions, 1, [0; 6]);
        assert!(html.contains("&lt;script&gt;"));
        assert!(html.contains("&quot;&gt;&lt;img src=x&gt;"));
        assert!(!html.contains("<script>") && !html.contains("<img"));
    }
}
