//! Judge0's report on a submission, parsed leniently: numbers may be strings, fields may be missing, and unknown
//! fields are ignored.

use std::time::Duration;

use serde_json::Value;

use crate::text;

/// Judge0's report on one submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judge0Report {
    /// The id of the status. `None` if it is missing or not a number.
    pub status: Option<u64>,
    /// The program's standard output.
    pub stdout: Vec<u8>,
    /// The standard error of the program and of the shell that runs it.
    pub stderr: Vec<u8>,
    /// The compiler's output.
    pub compile_output: Vec<u8>,
    /// The message of isolate, Judge0's sandbox.
    pub message: Vec<u8>,
    /// CPU time.
    pub time: Option<Duration>,
    /// Wall time.
    pub wall_time: Option<Duration>,
    /// Peak memory, in KB of 1024 bytes.
    pub memory_kb: Option<u64>,
    /// The exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the program, if isolate reports one.
    pub exit_signal: Option<i32>,
    /// Whether the report is invalid: text that is not base64, or a token other than the requested one.
    pub is_malformed: bool,
}

impl Judge0Report {
    /// Whether the submission has finished, so that no other report will follow.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self.status, Some(1 | 2))
    }

    /// Parses the report on the submission with this token. Never fails: an unreadable field is left out or sets
    /// [`Self::is_malformed`].
    #[must_use]
    pub fn read(report: &Value, token: &str) -> Self {
        let mut is_malformed =
            report.get("token").and_then(Value::as_str).is_some_and(|reported| reported != token)
                || !report.is_object();
        let mut bytes = |field: &str| match report.get(field) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => text::decode(text).unwrap_or_else(|_| {
                is_malformed = true;
                Vec::new()
            }),
            Some(_) => {
                is_malformed = true;
                Vec::new()
            }
        };
        let (stdout, stderr) = (bytes("stdout"), bytes("stderr"));
        let (compile_output, message) = (bytes("compile_output"), bytes("message"));
        let seconds =
            |field: &str| number(report.get(field)?).and_then(|it| Duration::try_from_secs_f64(it).ok());
        let small = |field: &str| whole(report.get(field)?).and_then(|it| i32::try_from(it).ok());
        let status = report.get("status_id").or_else(|| report.get("status")?.get("id"));
        Self {
            status: status.and_then(whole),
            stdout,
            stderr,
            compile_output,
            message,
            time: seconds("time"),
            wall_time: seconds("wall_time"),
            memory_kb: report.get("memory").and_then(whole),
            exit_code: small("exit_code"),
            exit_signal: small("exit_signal"),
            is_malformed,
        }
    }
}

/// Parses a number that may be a string.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Parses a non-negative number that may be a string. Drops a fraction.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    let number = number(value).filter(|number| (0.0..9e15).contains(number))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9e15, checked above")]
    Some(number as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_be_strings_and_unknown_fields_are_ignored() {
        let report = json!({
            "status": { "id": "3", "description": "Accepted" }, "stdout": "aGVsbG8K\n", "time": 0.5, "wall_time": "1.25",
            "memory": "128000", "exit_code": "0", "more": [1], "finished_at": null,
        });
        let read = Judge0Report::read(&report, "t");
        assert_eq!((read.status, read.stdout.as_slice()), (Some(3), &b"hello\n"[..]));
        assert_eq!(read.time, Some(Duration::from_millis(500)));
        assert_eq!(read.wall_time, Some(Duration::from_millis(1250)));
        assert_eq!((read.memory_kb, read.exit_code, read.exit_signal), (Some(128_000), Some(0), None));
        assert!(!read.is_malformed);
    }

    #[test]
    fn invalid_reports_are_malformed() {
        for report in
            [json!({ "stdout": "<b>" }), json!({ "stdout": 5 }), json!({ "token": "u" }), json!("x")]
        {
            assert!(Judge0Report::read(&report, "t").is_malformed, "{report}");
        }
        for number in [json!(-1), json!("-1"), json!("NaN"), json!("1e300"), json!(true), json!("x")] {
            assert_eq!(whole(&number), None, "{number}");
        }
    }
}
