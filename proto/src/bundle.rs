//! Bundles: a question with its test cases, as it is stored.

use std::time::Duration;

use bytes::Bytes;
use gavel_domain::{Comparison, Limits, Question, TestCase, Visibility};
use prost::Message as _;

use crate::verdict::micros;
use crate::{DecodeError, v1};

/// Encodes a question. The same question always gives the same bytes, so their digest identifies it.
#[must_use]
pub fn encode_bundle(question: &Question) -> Bytes {
    let comparison = v1::Comparison {
        trim_outputs: question.comparison.trim_outputs,
        normalize_whitespace: question.comparison.normalize_whitespace,
        case_sensitive: question.comparison.case_sensitive,
    };
    let tests = question.tests.iter().map(|test| v1::TestCase {
        hidden: test.visibility == Visibility::Hidden,
        stdin: test.stdin.clone(),
        expected_stdout: test.expected_stdout.clone(),
    });
    v1::Bundle {
        cpu_time_us: micros(question.limits.cpu_time),
        memory_bytes: question.limits.memory_bytes,
        comparison: Some(comparison),
        tests: tests.collect(),
    }
    .encode_to_vec()
    .into()
}

/// Decodes a question.
///
/// # Errors
/// Returns an error if the bytes are not a bundle, or if it has no tests.
pub fn decode_bundle(bytes: &[u8]) -> Result<Question, DecodeError> {
    let wire = v1::Bundle::decode(bytes)?;
    let comparison = wire.comparison.ok_or(DecodeError::Field("comparison"))?;
    if wire.tests.is_empty() {
        return Err(DecodeError::Field("tests"));
    }
    let tests = wire.tests.into_iter().map(|test| TestCase {
        visibility: if test.hidden { Visibility::Hidden } else { Visibility::Public },
        stdin: test.stdin,
        expected_stdout: test.expected_stdout,
    });
    Ok(Question {
        limits: Limits { cpu_time: Duration::from_micros(wire.cpu_time_us), memory_bytes: wire.memory_bytes },
        comparison: Comparison {
            trim_outputs: comparison.trim_outputs,
            normalize_whitespace: comparison.normalize_whitespace,
            case_sensitive: comparison.case_sensitive,
        },
        tests: tests.collect(),
    })
}
