//! Parses a request body into a submission: the strict schema of contract §1, with all problems reported together.

use gavel_domain::{LanguageId, QuestionId, SubmissionId, SubmissionKind, ids::InvalidId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fields::{Field, Fields};

/// A valid request body.
pub(crate) struct SubmissionRequest {
    pub(crate) submission_id: SubmissionId,
    pub(crate) question_id: QuestionId,
    pub(crate) language: LanguageId,
    pub(crate) kind: SubmissionKind,
    pub(crate) source: String,
}

/// An invalid request body.
#[derive(Debug, PartialEq)]
pub(crate) enum InvalidRequest {
    /// Not JSON, or it does not match the schema.
    Schema {
        /// The id as sent, or empty.
        submission_id: String,
        /// `[{"path": […], "message": …}]`.
        issues: Vec<Value>,
    },
    /// It matches the schema, but the source code is too large.
    SourceTooLarge {
        /// The id as sent.
        submission_id: String,
    },
}

impl InvalidRequest {
    /// Returns the submission id as sent, or an empty string.
    pub(crate) fn submission_id(&self) -> &str {
        match self {
            Self::Schema { submission_id, .. } | Self::SourceTooLarge { submission_id } => submission_id,
        }
    }
}

/// The longest submission id that a response repeats, in bytes. It exceeds the limit of valid ids.
const MAX_ECHO_BYTES: usize = 256;

pub(crate) fn parse(body: &[u8], max_source_bytes: usize) -> Result<SubmissionRequest, InvalidRequest> {
    let schema = |submission_id, issues| InvalidRequest::Schema { submission_id, issues };
    let mut fields: Fields = match serde_json::from_slice(body) {
        Ok(fields) => fields,
        Err(error) if error.is_data() => {
            return Err(schema(String::new(), vec![issue(None, "expected an object")]));
        }
        Err(error) => {
            let issues = vec![issue(None, &format!("invalid JSON: {error}"))];
            return Err(schema(salvaged_id(body), issues));
        }
    };
    let sent_id = fields.text("submissionId").map(echoed).unwrap_or_default();

    let mut issues = Vec::new();
    let question_id = id(&mut fields, "questionId", QuestionId::new, &mut issues);
    let submission_id = id(&mut fields, "submissionId", SubmissionId::new, &mut issues);
    let language = language(&mut fields, &mut issues);
    let source = string(&mut fields, "sourceCode", &mut issues);
    let kind = kind(&mut fields, &mut issues);
    issues.extend(fields.duplicates.iter().map(|key| issue(Some(key), "duplicate key")));
    issues.extend(fields.unknown.iter().map(|key| issue(Some(key), "unrecognized key")));
    let too_large = source.as_ref().is_some_and(|source| source.len() > max_source_bytes);
    if too_large && issues.is_empty() {
        return Err(InvalidRequest::SourceTooLarge { submission_id: sent_id });
    }
    if too_large {
        issues.push(issue(Some("sourceCode"), "exceeds MAX_SOURCE_BYTES"));
    }
    match (submission_id, question_id, language, kind, source) {
        (Some(submission_id), Some(question_id), Some(language), Some(kind), Some(source))
            if issues.is_empty() =>
        {
            Ok(SubmissionRequest { submission_id, question_id, language, kind, source })
        }
        _ => Err(schema(sent_id, issues)),
    }
}

/// Returns the submission id of a body that cannot be read because of another field: the source may contain a lone
/// surrogate, which JavaScript strings allow and UTF-8 does not. The values of unknown fields are skipped, not decoded.
fn salvaged_id(body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct IdOnly {
        submission_id: String,
    }
    serde_json::from_slice::<IdOnly>(body).map_or_else(|_| String::new(), |body| echoed(&body.submission_id))
}

/// The submission id that a response repeats.
fn echoed(id: &str) -> String {
    if id.len() > MAX_ECHO_BYTES { String::new() } else { id.to_owned() }
}

fn issue(key: Option<&str>, message: &str) -> Value {
    json!({ "path": key.map_or_else(Vec::new, |key| vec![key]), "message": message })
}

fn string(fields: &mut Fields, key: &str, issues: &mut Vec<Value>) -> Option<String> {
    match fields.remove(key) {
        Some(Field::Text(text)) => Some(text),
        None => {
            issues.push(issue(Some(key), "required"));
            None
        }
        Some(_) => {
            issues.push(issue(Some(key), "expected a string"));
            None
        }
    }
}

fn id<T>(
    fields: &mut Fields,
    key: &str,
    new: impl Fn(String) -> Result<T, InvalidId>,
    issues: &mut Vec<Value>,
) -> Option<T> {
    let text = string(fields, key, issues)?;
    new(text).map_err(|invalid| issues.push(issue(Some(key), &invalid.to_string()))).ok()
}

fn language(fields: &mut Fields, issues: &mut Vec<Value>) -> Option<LanguageId> {
    let key = "languageId";
    let Some(value) = fields.remove(key) else {
        issues.push(issue(Some(key), "required"));
        return None;
    };
    // JavaScript has a single number type: 71.0 is the integer 71.
    let number = value.number().filter(|n| n.fract() == 0.0 && *n > 0.0 && *n <= f64::from(u32::MAX));
    if number.is_none() {
        issues.push(issue(Some(key), "expected an integer greater than 0"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an integer in the range of u32"
    )]
    number.map(|n| LanguageId(n as u32))
}

fn kind(fields: &mut Fields, issues: &mut Vec<Value>) -> Option<SubmissionKind> {
    let key = "submissionKind";
    let Some(value) = fields.remove(key) else { return Some(SubmissionKind::default()) };
    let kind = value.text().and_then(SubmissionKind::from_name);
    if kind.is_none() {
        issues.push(issue(Some(key), "expected \"standard\" or \"personalized\""));
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

    fn body(change: impl Fn(&mut Map<String, Value>)) -> Vec<u8> {
        let mut value = json!({
            "questionId": "q1", "submissionId": "s1", "languageId": 71, "sourceCode": "print(1)",
        });
        change(value.as_object_mut().unwrap());
        value.to_string().into_bytes()
    }

    fn issues(body: &[u8]) -> Vec<(String, String)> {
        match parse(body, 100) {
            Err(InvalidRequest::Schema { issues, .. }) => issues
                .iter()
                .map(|issue| (issue["path"].to_string(), issue["message"].as_str().unwrap().to_owned()))
                .collect(),
            Err(InvalidRequest::SourceTooLarge { .. }) => panic!("the source is too large"),
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn submission_kind_is_optional() {
        assert_eq!(parse(&body(|_| ()), 100).ok().unwrap().kind, SubmissionKind::Standard);
        let personalized = body(|b| drop(b.insert("submissionKind".into(), "personalized".into())));
        assert_eq!(parse(&personalized, 100).ok().unwrap().kind, SubmissionKind::Personalized);
        let null = body(|b| drop(b.insert("submissionKind".into(), Value::Null)));
        assert_eq!(issues(&null).len(), 1);
    }

    #[test]
    fn language_id_is_a_positive_integer() {
        for good in [json!(71), json!(71.0), json!(1e2)] {
            let body = body(|b| drop(b.insert("languageId".into(), good.clone())));
            assert!(parse(&body, 100).is_ok(), "{good}");
        }
        for bad in [json!(0), json!(-1), json!(1.5), json!("71"), json!(null), json!(1e300), json!(true)] {
            let body = body(|b| drop(b.insert("languageId".into(), bad.clone())));
            assert_eq!(issues(&body)[0].0, "[\"languageId\"]", "{bad}");
        }
    }

    #[test]
    fn all_issues_are_reported_together() {
        let found = issues(br#"{"submissionId":"a.b","languageId":"x","submissionKind":1,"extra":null}"#);
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        let expected = [
            "[\"questionId\"]",
            "[\"submissionId\"]",
            "[\"languageId\"]",
            "[\"sourceCode\"]",
            "[\"submissionKind\"]",
            "[\"extra\"]",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn duplicate_key_is_an_issue_and_its_value_is_not_used() {
        let text = |more: &str| {
            format!(
                r#"{{"questionId":"q1","submissionId":"s1","languageId":71,"sourceCode":"print(1)",{more}}}"#
            )
        };
        for (key, more) in [
            ("questionId", r#""questionId":"q1""#),
            ("submissionId", r#""submissionId":"s2""#),
            ("languageId", r#""language\u0049d":50"#),
            ("sourceCode", r#""sourceCode":{"a":[1,"}"]},"sourceCode":null"#),
        ] {
            let expected = [(format!("[\"{key}\"]"), "duplicate key".to_owned())];
            assert_eq!(issues(text(more).as_bytes()), expected, "{more}");
        }
        let twice = text(r#""submissionId":"s2""#);
        assert_eq!(parse(twice.as_bytes(), 100).err().unwrap().submission_id(), "", "which one is unknown");
        let quoted =
            body(|b| drop(b.insert("sourceCode".into(), r#"{"sourceCode":1,"sourceCode":2}\"#.into())));
        assert!(parse(&quoted, 100).is_ok(), "text in a value is no key");
    }

    #[test]
    fn body_that_is_not_an_object_is_rejected() {
        for bad in ["", "{", "null", "[]", "\"x\"", "\u{feff}{}", r#"{"sourceCode":"\ud800"}"#] {
            assert_eq!(issues(bad.as_bytes()).first().unwrap().0, "[]", "{bad}");
        }
        assert_eq!(issues(b"\xff").len(), 1);
    }

    #[test]
    fn id_of_a_body_with_an_unreadable_source_is_repeated() {
        let id = |body: &[u8]| parse(body, 100).err().unwrap().submission_id().to_owned();
        assert_eq!(id(br#"{"submissionId":"s1","sourceCode":"\ud800"}"#), "s1");
        assert_eq!(id(br#"{"sourceCode":"a\udc00\ud800b","submissionId":"s1"}"#), "s1");
        assert_eq!(id(b"{\"submissionId\":\"s1\",\"sourceCode\":\"\xff\"}"), "s1");
        assert_eq!(id(br#"{"submissionId":"\ud800","sourceCode":""}"#), "");
        assert_eq!(id(br#"{"submissionId":"s1","sourceCode":"""#), "", "not JSON");
        let long = format!(r#"{{"submissionId":"{}","sourceCode":"\ud800"}}"#, "x".repeat(300));
        assert_eq!(id(long.as_bytes()), "");
    }

    #[test]
    fn source_size_counts_utf8_bytes() {
        let at_limit = body(|b| drop(b.insert("sourceCode".into(), "é".repeat(50).into())));
        assert!(parse(&at_limit, 100).is_ok());
        let over = body(|b| drop(b.insert("sourceCode".into(), "é".repeat(51).into())));
        assert_eq!(
            parse(&over, 100).err(),
            Some(InvalidRequest::SourceTooLarge { submission_id: "s1".into() })
        );
        let empty = body(|b| drop(b.insert("sourceCode".into(), "".into())));
        assert!(parse(&empty, 100).is_ok());
    }
}
