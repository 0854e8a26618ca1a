//! What Judge0 says of a submission, read leniently: numbers may be strings, fields may be missing, and what is not
//! known is ignored.

use std::time::Duration;

use serde_json::Value;

use crate::text;

/// What Judge0 says of one submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The status; nothing where there is none that is a number.
    pub status: Option<u64>,
    /// What the program wrote.
    pub stdout: Vec<u8>,
    /// What the program, and the shell around it, wrote to standard error.
    pub stderr: Vec<u8>,
    /// What the compiler wrote.
    pub compile_output: Vec<u8>,
    /// What isolate says.
    pub message: Vec<u8>,
    /// CPU time.
    pub time: Option<Duration>,
    /// Time on the wall.
    pub wall_time: Option<Duration>,
    /// Peak memory, in KB of 1024 bytes.
    pub memory_kb: Option<u64>,
    /// The exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it, where isolate saw one.
    pub exit_signal: Option<i32>,
    /// Whether something in it cannot be what Judge0 meant: text that is not base64, another token than asked for.
    pub is_garbled: bool,
}

impl Report {
    /// Whether there will be no other.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self.status, Some(1 | 2))
    }

    /// Reads what Judge0 says of the submission of this token. Never fails: what cannot be read is left out, or makes
    /// the report [`Self::is_garbled`].
    #[must_use]
    pub fn read(report: &Value, token: &str) -> Self {
        let mut is_garbled = report.get("token").and_then(Value::as_str).is_some_and(|named| named != token)
            || !report.is_object();
        let mut bytes = |field: &str| match report.get(field) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => text::decode(text).unwrap_or_else(|_| {
                is_garbled = true;
                Vec::new()
            }),
            Some(_) => {
                is_garbled = true;
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
            is_garbled,
        }
    }
}

/// A number, also in the form of a string.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A whole number that is not negative, also in the form of a string or with a fraction, which is dropped.
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
        let read = Report::read(&report, "t");
        assert_eq!((read.status, read.stdout.as_slice()), (Some(3), &b"hello\n"[..]));
        assert_eq!(read.time, Some(Duration::from_millis(500)));
        assert_eq!(read.wall_time, Some(Duration::from_millis(1250)));
        assert_eq!((read.memory_kb, read.exit_code, read.exit_signal), (Some(128_000), Some(0), None));
        assert!(!read.is_garbled);
    }

    #[test]
    fn what_judge0_cannot_have_meant_is_told() {
        for report in
            [json!({ "stdout": "<b>" }), json!({ "stdout": 5 }), json!({ "token": "u" }), json!("x")]
        {
            assert!(Report::read(&report, "t").is_garbled, "{report}");
        }
        for number in [json!(-1), json!("-1"), json!("NaN"), json!("1e300"), json!(true), json!("x")] {
            assert_eq!(whole(&number), None, "{number}");
        }
    }
}
