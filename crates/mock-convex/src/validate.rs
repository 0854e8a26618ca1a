//! The checks of the app's argument validators.
//!
//! The real functions declare their arguments. Any other argument throws an error, which reaches the caller as a 500
//! without a reason. Here the reason is recorded with the answer.

use serde_json::{Map, Value};

use crate::{
    endpoint::{Endpoint, Purpose},
    state::Status,
};

/// The longest accepted id, in bytes. Convex's own ids have 32.
const MAX_ID_BYTES: usize = 128;

/// Why the app would reject a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The status of the answer.
    pub(crate) status: u16,
    /// The reason; recorded, but never sent with a 500.
    pub(crate) reason: String,
}

impl Rejection {
    /// An error thrown inside the app: its text is hidden from the caller.
    pub(crate) fn thrown(reason: impl Into<String>) -> Self {
        Self { status: 500, reason: reason.into() }
    }

    pub(crate) fn bad_request(reason: impl Into<String>) -> Self {
        Self { status: 400, reason: reason.into() }
    }
}

/// The id that the call is about, if the body has a valid one. For the record only; it checks nothing.
pub(crate) fn id_of(endpoint: Endpoint, body: &Value) -> Option<&str> {
    body.get(endpoint.id_field())?.as_str().filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES)
}

/// Checks the id as the HTTP actions do. A missing id is a 400. A malformed one is a 400 for a question and a thrown
/// error for a submission.
pub(crate) fn checked_id(endpoint: Endpoint, body: Option<&Value>) -> Result<&str, Rejection> {
    let field = endpoint.id_field();
    let Some(body) = body else {
        return Err(Rejection::thrown("the body is not JSON"));
    };
    match body.get(field) {
        None | Some(Value::Null) => Err(Rejection::bad_request(format!("{field} is missing"))),
        Some(Value::String(id)) if id.is_empty() => {
            Err(Rejection::bad_request(format!("{field} is missing")))
        }
        Some(Value::String(id)) if well_formed(id) => Ok(id),
        Some(_) => {
            let reason = format!("{field} is not an id");
            Err(if endpoint.purpose == Purpose::TestCases {
                Rejection::bad_request(reason)
            } else {
                Rejection::thrown(reason)
            })
        }
    }
}

/// Convex's ids are lower-case letters and digits. A few more characters are accepted, so that tests and samples can
/// have readable ids.
fn well_formed(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Checks the arguments of `submission-running`: only the id.
pub(crate) fn running(body: &Value) -> Result<(), Rejection> {
    let fields = object(body, "the body")?;
    known_keys(fields, "", &["submissionId"])
}

/// Checks the arguments of `submission-result` and returns their status.
pub(crate) fn result(body: &Value) -> Result<Status, Rejection> {
    const NUMBERS: [&str; 4] = ["passedCount", "totalCount", "firstFailureIndex", "durationMs"];
    const TEXTS: [&str; 2] = ["stderr", "compileOutput"];
    const FAILURE: [&str; 4] = ["stdin", "actualOutput", "expectedOutput", "errorMessage"];

    let fields = object(body, "the body")?;
    let others = ["submissionId", "status", "firstFailure"];
    known_keys(fields, "", &[&NUMBERS[..], &TEXTS[..], &others[..]].concat())?;
    for name in NUMBERS {
        expect(fields, "", name, "a number", Value::is_number)?;
    }
    for name in TEXTS {
        expect(fields, "", name, "a string", Value::is_string)?;
    }
    if let Some(failure) = fields.get("firstFailure") {
        let failure = object(failure, "firstFailure")?;
        known_keys(failure, "firstFailure.", &FAILURE)?;
        for name in FAILURE {
            expect(failure, "firstFailure.", name, "a string", Value::is_string)?;
        }
    }
    match fields.get("status").and_then(Value::as_str) {
        Some("passed") => Ok(Status::Passed),
        Some("failed") => Ok(Status::Failed),
        Some("error") => Ok(Status::Error),
        _ => Err(Rejection::thrown("status is not one of passed, failed, error")),
    }
}

/// The approximate size of a stored value in bytes: text by its length, everything else by a small constant.
pub(crate) fn stored_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(_) => 9,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(stored_bytes).sum::<usize>(),
        Value::Object(fields) => 2 + stored_fields(fields),
    }
}

/// The same for the fields of an object.
pub(crate) fn stored_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| name.len() + 1 + stored_bytes(value)).sum()
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, Rejection> {
    value.as_object().ok_or_else(|| Rejection::thrown(format!("{what} is not an object")))
}

fn known_keys(fields: &Map<String, Value>, prefix: &str, known: &[&str]) -> Result<(), Rejection> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Rejection::thrown(format!("{prefix}{key} is not an argument"))),
        None => Ok(()),
    }
}

/// Checks the type of an optional field, if it is present. `null` has no valid type.
fn expect(
    fields: &Map<String, Value>,
    prefix: &str,
    name: &str,
    type_name: &str,
    is: impl Fn(&Value) -> bool,
) -> Result<(), Rejection> {
    match fields.get(name) {
        Some(value) if !is(value) => Err(Rejection::thrown(format!("{prefix}{name} is not {type_name}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rejected(body: &Value) -> String {
        let rejection = result(body).expect_err("must be rejected");
        assert_eq!(rejection.status, 500);
        rejection.reason
    }

    #[test]
    fn full_and_minimal_results_are_accepted() {
        let full = json!({
            "submissionId": "s", "status": "failed", "passedCount": 3, "totalCount": 10.0, "firstFailureIndex": 3,
            "firstFailure": { "stdin": "", "actualOutput": "", "expectedOutput": "", "errorMessage": "" },
            "stderr": "", "compileOutput": "", "durationMs": 812.5,
        });
        assert_eq!(result(&full), Ok(Status::Failed));
        assert_eq!(result(&json!({ "submissionId": "s", "status": "passed" })), Ok(Status::Passed));
        assert_eq!(
            result(&json!({ "submissionId": "s", "status": "error", "firstFailure": {} })),
            Ok(Status::Error)
        );
    }

    #[test]
    fn invalid_results_are_rejected() {
        let base = json!({ "submissionId": "s", "status": "failed" });
        let cases = [
            ("status", json!("running"), "status is not one of passed, failed, error"),
            ("status", json!(null), "status is not one of passed, failed, error"),
            ("stderr", json!(null), "stderr is not a string"),
            ("passedCount", json!("3"), "passedCount is not a number"),
            ("durationMs", json!(null), "durationMs is not a number"),
            ("verdict", json!(1), "verdict is not an argument"),
            ("firstFailure", json!(null), "firstFailure is not an object"),
            ("firstFailure", json!({ "index": 1 }), "firstFailure.index is not an argument"),
            ("firstFailure", json!({ "stdin": null }), "firstFailure.stdin is not a string"),
        ];
        for (field, value, reason) in cases {
            let mut body = base.clone();
            body[field] = value;
            assert_eq!(rejected(&body), reason);
        }
        assert_eq!(rejected(&json!({ "submissionId": "s" })), "status is not one of passed, failed, error");
    }

    #[test]
    fn running_accepts_only_the_id() {
        assert_eq!(running(&json!({ "submissionId": "s" })), Ok(()));
        assert!(running(&json!({ "submissionId": "s", "status": "running" })).is_err());
    }

    #[test]
    fn missing_id_is_400_and_malformed_id_depends_on_the_endpoint() {
        let status = |endpoint, body: &Value| checked_id(endpoint, Some(body)).map_err(|r| r.status).err();
        for endpoint in [Endpoint::TEST_CASES, Endpoint::RESULT] {
            let field = endpoint.id_field();
            assert_eq!(status(endpoint, &json!({})), Some(400));
            assert_eq!(status(endpoint, &json!([])), Some(400));
            assert_eq!(status(endpoint, &json!({ field: "" })), Some(400));
            assert_eq!(status(endpoint, &json!({ field: "k57abc" })), None);
        }
        assert_eq!(status(Endpoint::TEST_CASES, &json!({ "questionId": "no id!" })), Some(400));
        assert_eq!(status(Endpoint::RESULT, &json!({ "submissionId": 7 })), Some(500));
    }
}
