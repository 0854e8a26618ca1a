//! From a body to a submission: the strict schema of contract §1, with all that is wrong at once.

use gavel_domain::{LanguageId, QuestionId, SubmissionId, SubmissionKind, ids::InvalidId};
use serde_json::{Map, Value, json};

/// A body that is a submission.
pub(crate) struct Parsed {
    pub(crate) submission_id: SubmissionId,
    pub(crate) question_id: QuestionId,
    pub(crate) language: LanguageId,
    pub(crate) kind: SubmissionKind,
    pub(crate) source: String,
}

/// A body that is not.
#[derive(Debug, PartialEq)]
pub(crate) enum Invalid {
    /// Not JSON, or not of the schema.
    Schema {
        /// As sent, or empty.
        submission_id: String,
        /// `[{"path": […], "message": …}]`.
        issues: Vec<Value>,
    },
    /// Of the schema, but for the size of the source.
    SourceTooLarge {
        /// As sent.
        submission_id: String,
    },
}

impl Invalid {
    /// The submission's id as sent, or empty.
    pub(crate) fn submission_id(&self) -> &str {
        match self {
            Self::Schema { submission_id, .. } | Self::SourceTooLarge { submission_id } => submission_id,
        }
    }
}

/// The longest submission id that an answer repeats, in bytes; a longer one is no id anyway.
const MAX_ECHO_BYTES: usize = 256;

pub(crate) fn parse(body: &[u8], max_source_bytes: usize) -> Result<Parsed, Invalid> {
    let schema = |submission_id, issues| Invalid::Schema { submission_id, issues };
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| schema(String::new(), vec![issue(None, &format!("not valid JSON: {error}"))]))?;
    let Value::Object(mut fields) = value else {
        return Err(schema(String::new(), vec![issue(None, "expected an object")]));
    };
    let sent_id = fields.get("submissionId").and_then(Value::as_str).unwrap_or_default();
    let sent_id = if sent_id.len() > MAX_ECHO_BYTES { String::new() } else { sent_id.to_owned() };

    let mut issues = Vec::new();
    let question_id = id(&mut fields, "questionId", QuestionId::new, &mut issues);
    let submission_id = id(&mut fields, "submissionId", SubmissionId::new, &mut issues);
    let language = language(&mut fields, &mut issues);
    let source = string(&mut fields, "sourceCode", &mut issues);
    let kind = kind(&mut fields, &mut issues);
    issues.extend(fields.keys().take(20).map(|key| issue(Some(key), "unrecognized key")));
    let too_large = source.as_ref().is_some_and(|source| source.len() > max_source_bytes);
    if too_large && issues.is_empty() {
        return Err(Invalid::SourceTooLarge { submission_id: sent_id });
    }
    if too_large {
        issues.push(issue(Some("sourceCode"), "exceeds MAX_SOURCE_BYTES"));
    }
    match (submission_id, question_id, language, kind, source) {
        (Some(submission_id), Some(question_id), Some(language), Some(kind), Some(source))
            if issues.is_empty() =>
        {
            Ok(Parsed { submission_id, question_id, language, kind, source })
        }
        _ => Err(schema(sent_id, issues)),
    }
}

fn issue(key: Option<&str>, message: &str) -> Value {
    json!({ "path": key.map_or_else(Vec::new, |key| vec![key]), "message": message })
}

fn string(fields: &mut Map<String, Value>, key: &str, issues: &mut Vec<Value>) -> Option<String> {
    match fields.remove(key) {
        Some(Value::String(text)) => Some(text),
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
    fields: &mut Map<String, Value>,
    key: &str,
    new: impl Fn(String) -> Result<T, InvalidId>,
    issues: &mut Vec<Value>,
) -> Option<T> {
    let text = string(fields, key, issues)?;
    new(text).map_err(|invalid| issues.push(issue(Some(key), &invalid.to_string()))).ok()
}

fn language(fields: &mut Map<String, Value>, issues: &mut Vec<Value>) -> Option<LanguageId> {
    let key = "languageId";
    let Some(value) = fields.remove(key) else {
        issues.push(issue(Some(key), "required"));
        return None;
    };
    // JavaScript has one kind of number: 71.0 is the integer 71.
    let number = value.as_f64().filter(|n| n.fract() == 0.0 && *n > 0.0 && *n <= f64::from(u32::MAX));
    if number.is_none() {
        issues.push(issue(Some(key), "expected an integer greater than 0"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number of u32's range"
    )]
    number.map(|n| LanguageId(n as u32))
}

fn kind(fields: &mut Map<String, Value>, issues: &mut Vec<Value>) -> Option<SubmissionKind> {
    let key = "submissionKind";
    let Some(value) = fields.remove(key) else { return Some(SubmissionKind::default()) };
    let kind = value.as_str().and_then(SubmissionKind::from_word);
    if kind.is_none() {
        issues.push(issue(Some(key), "expected \"standard\" or \"personalized\""));
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(change: impl Fn(&mut Map<String, Value>)) -> Vec<u8> {
        let mut value = json!({
            "questionId": "q1", "submissionId": "s1", "languageId": 71, "sourceCode": "print(1)",
        });
        change(value.as_object_mut().unwrap());
        value.to_string().into_bytes()
    }

    fn issues(body: &[u8]) -> Vec<(String, String)> {
        match parse(body, 100) {
            Err(Invalid::Schema { issues, .. }) => issues
                .iter()
                .map(|issue| (issue["path"].to_string(), issue["message"].as_str().unwrap().to_owned()))
                .collect(),
            Err(Invalid::SourceTooLarge { .. }) => panic!("the source is too large"),
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn the_kind_is_optional() {
        assert_eq!(parse(&body(|_| ()), 100).ok().unwrap().kind, SubmissionKind::Standard);
        let personalized = body(|b| drop(b.insert("submissionKind".into(), "personalized".into())));
        assert_eq!(parse(&personalized, 100).ok().unwrap().kind, SubmissionKind::Personalized);
        let null = body(|b| drop(b.insert("submissionKind".into(), Value::Null)));
        assert_eq!(issues(&null).len(), 1);
    }

    #[test]
    fn a_language_is_a_whole_number_above_zero() {
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
    fn all_issues_come_at_once() {
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
    fn what_is_not_an_object_is_refused() {
        for bad in ["", "{", "null", "[]", "\"x\"", "\u{feff}{}", r#"{"sourceCode":"\ud800"}"#] {
            assert_eq!(issues(bad.as_bytes()).first().unwrap().0, "[]", "{bad}");
        }
        assert_eq!(issues(b"\xff").len(), 1);
    }

    #[test]
    fn the_source_is_measured_in_bytes_of_utf8() {
        let at_limit = body(|b| drop(b.insert("sourceCode".into(), "é".repeat(50).into())));
        assert!(parse(&at_limit, 100).is_ok());
        let over = body(|b| drop(b.insert("sourceCode".into(), "é".repeat(51).into())));
        assert_eq!(parse(&over, 100).err(), Some(Invalid::SourceTooLarge { submission_id: "s1".into() }));
        let empty = body(|b| drop(b.insert("sourceCode".into(), "".into())));
        assert!(parse(&empty, 100).is_ok());
    }
}
