//! What the app's validators refuse.
//!
//! The real functions declare their arguments; anything that does not fit is thrown there and reaches the
//! caller as a 500 without a reason. Here the reason is kept beside the answer, for whoever reads the record.

use serde_json::{Map, Value};

use crate::{
    endpoint::{Endpoint, Purpose},
    state::Status,
};

/// The longest id taken, in bytes. Convex's own have 32.
const MAX_ID_BYTES: usize = 128;

/// A call that the app would not carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status answered.
    pub(crate) status: u16,
    /// Why; only recorded, never sent with a 500.
    pub(crate) reason: String,
}

impl Refusal {
    /// An error thrown inside the app: its text is hidden from the caller.
    pub(crate) fn thrown(reason: impl Into<String>) -> Self {
        Self { status: 500, reason: reason.into() }
    }

    pub(crate) fn bad_request(reason: impl Into<String>) -> Self {
        Self { status: 400, reason: reason.into() }
    }
}

/// The id that the call is about, if the body holds a usable string; for the records, not a check.
pub(crate) fn id_of(endpoint: Endpoint, body: &Value) -> Option<&str> {
    body.get(endpoint.id_field())?.as_str().filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES)
}

/// Checks the id as the HTTP actions do: a missing one is a 400 everywhere, a malformed one a 400 for a
/// question and thrown for a submission.
pub(crate) fn checked_id(endpoint: Endpoint, body: Option<&Value>) -> Result<&str, Refusal> {
    let field = endpoint.id_field();
    let Some(body) = body else {
        return Err(Refusal::thrown("the body is not JSON"));
    };
    match body.get(field) {
        None | Some(Value::Null) => Err(Refusal::bad_request(format!("{field} is missing"))),
        Some(Value::String(id)) if id.is_empty() => Err(Refusal::bad_request(format!("{field} is missing"))),
        Some(Value::String(id)) if well_formed(id) => Ok(id),
        Some(_) => {
            let reason = format!("{field} is not an id");
            Err(if endpoint.purpose == Purpose::TestCases {
                Refusal::bad_request(reason)
            } else {
                Refusal::thrown(reason)
            })
        }
    }
}

/// Convex's ids are lower-case letters and digits. A little more is let through so that tests and samples can
/// have ids that a person can read.
fn well_formed(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The arguments of `submission-running`: the id and nothing else.
pub(crate) fn running(body: &Value) -> Result<(), Refusal> {
    let fields = object(body, "the body")?;
    known_keys(fields, "", &["submissionId"])
}

/// The arguments of `submission-result`; says the status they carry.
pub(crate) fn result(body: &Value) -> Result<Status, Refusal> {
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
        _ => Err(Refusal::thrown("status is not one of passed, failed, error")),
    }
}

/// The bytes a stored value takes, near enough: text by its length, the rest by a small constant.
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

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, Refusal> {
    value.as_object().ok_or_else(|| Refusal::thrown(format!("{what} is not an object")))
}

fn known_keys(fields: &Map<String, Value>, prefix: &str, known: &[&str]) -> Result<(), Refusal> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Refusal::thrown(format!("{prefix}{key} is not an argument"))),
        None => Ok(()),
    }
}

/// An optional field must be of its type where it is there; `null` is no type's.
fn expect(
    fields: &Map<String, Value>,
    prefix: &str,
    name: &str,
    type_name: &str,
    is: impl Fn(&Value) -> bool,
) -> Result<(), Refusal> {
    match fields.get(name) {
        Some(value) if !is(value) => Err(Refusal::thrown(format!("{prefix}{name} is not {type_name}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(body: &Value) -> String {
        let refusal = result(body).expect_err("must be refused");
        assert_eq!(refusal.status, 500);
        refusal.reason
    }

    #[test]
    fn a_full_result_and_a_bare_one_are_taken() {
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
    fn whatever_a_validator_would_refuse_is_refused() {
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
            assert_eq!(refused(&body), reason);
        }
        assert_eq!(refused(&json!({ "submissionId": "s" })), "status is not one of passed, failed, error");
    }

    #[test]
    fn running_takes_the_id_alone() {
        assert_eq!(running(&json!({ "submissionId": "s" })), Ok(()));
        assert!(running(&json!({ "submissionId": "s", "status": "running" })).is_err());
    }

    #[test]
    fn a_missing_id_is_400_and_a_malformed_one_depends_on_the_table() {
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
