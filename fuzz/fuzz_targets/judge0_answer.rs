//! Interprets any JSON as Judge0's report on a submission: the result is an execution, a compile error or a failure of
//! Judge0, never a panic.
#![no_main]

use std::time::Duration;

use gavel_judge0::{Judge0Report, RunSettings, interpret};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const SETTINGS: RunSettings = RunSettings {
    cpu_time: Duration::from_secs(2),
    wall_time: Duration::from_secs(4),
    memory_kb: 65_536,
    stack_kb: None,
    file_kb: 1,
};

fuzz_target!(|answer: &[u8]| {
    if let Ok(answer) = serde_json::from_slice::<Value>(answer) {
        let _ = interpret(Judge0Report::read(&answer, "token"), &SETTINGS);
    }
});
