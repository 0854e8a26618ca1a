//! The entries of a batch of submissions, and Judge0's answers to them.

use gavel_domain::LanguageId;
use serde::Serialize;
use serde_json::Value;

use crate::limits::RunSettings;

/// A program with one input.
#[derive(Clone, Debug, Serialize)]
pub struct BatchEntry<'a> {
    /// The program, in base64.
    pub source_code: &'a str,
    /// Judge0's id of the language.
    pub language_id: u32,
    /// The input, in base64.
    pub stdin: String,
    /// Seconds.
    pub cpu_time_limit: f64,
    /// Seconds.
    pub wall_time_limit: f64,
    /// KB of 1024 bytes.
    pub memory_limit: u64,
    /// KB of 1024 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_limit: Option<u64>,
    /// KB of 1024 bytes, for each file and each of the two output streams.
    pub max_file_size: u64,
    /// Always 1; Judge0's default may differ.
    pub number_of_runs: u32,
    /// Always off; Judge0's default may differ.
    pub enable_network: bool,
    /// Always off; Judge0's default may differ.
    pub redirect_stderr_to_stdout: bool,
}

impl<'a> BatchEntry<'a> {
    /// A program and its input, both in base64.
    pub(crate) fn new(language: LanguageId, source: &'a str, stdin: String, settings: &RunSettings) -> Self {
        Self {
            source_code: source,
            language_id: language.0,
            stdin,
            cpu_time_limit: settings.cpu_time.as_secs_f64(),
            wall_time_limit: settings.wall_time.as_secs_f64(),
            memory_limit: settings.memory_kb,
            stack_limit: settings.stack_kb,
            max_file_size: settings.file_kb,
            number_of_runs: 1,
            enable_network: false,
            redirect_stderr_to_stdout: false,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Batch<'a> {
    pub(crate) submissions: &'a [BatchEntry<'a>],
}

/// Judge0's answer to one entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryResult {
    /// The entry is queued under this token.
    Token(String),
    /// The entry is invalid. Holds the fields and their errors.
    Rejected(String),
    /// The answer holds neither a valid token nor an error.
    Invalid,
}

impl EntryResult {
    pub(crate) fn read(answer: &Value) -> Self {
        if let Some(token) = answer.get("token").and_then(Value::as_str) {
            // The token becomes part of a URL.
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let is_token = (1..=128).contains(&token.len()) && token.bytes().all(is_plain);
            return if is_token { Self::Token(token.to_owned()) } else { Self::Invalid };
        }
        let Some(fields) = answer.as_object().filter(|fields| !fields.is_empty()) else {
            return Self::Invalid;
        };
        let problems: Vec<String> =
            fields.iter().map(|(field, errors)| format!("{field} {}", error_text(errors))).collect();
        Self::Rejected(problems.join("; "))
    }
}

fn error_text(errors: &Value) -> String {
    match errors {
        Value::Array(errors) => errors.iter().map(error_text).collect::<Vec<_>>().join(", "),
        Value::String(text) => text[..text.floor_char_boundary(200)].to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn token_that_would_change_the_url_is_invalid() {
        for token in ["", "a,b", "a&fields=*", "../x", &"x".repeat(129)] {
            assert_eq!(EntryResult::read(&json!({ "token": token })), EntryResult::Invalid, "{token}");
        }
        for answer in [json!(null), json!({}), json!("x"), json!([])] {
            assert_eq!(EntryResult::read(&answer), EntryResult::Invalid, "{answer}");
        }
    }
}
