//! The recorded exchanges that mock Judge0 answers with.

use serde_json::Value;

macro_rules! recorded {
    ($($name:literal)*) => {
        /// Name and text of each recording of a finished test.
        pub const RECORDED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../judge0/tests/recorded/", $name, ".json")))),*];
    };
}

recorded! {
    "accepted_c" "accepted_cpp" "accepted_node" "accepted_python" "compile_error_c" "exec_missing"
    "exit_code_42_python" "invalid_utf8_b64true" "kill_pid1_ppid" "kill_self_python" "mle_c_cgroup_touch"
    "mle_c_small" "mle_node_cgroup" "mle_python_cgroup" "nzec_python" "sigabrt_c" "sigfpe_c" "sigsegv_c"
    "stack_overflow_c" "tle_cpu_c" "tle_wall_python"
}

/// The configuration of the Judge0 that was recorded.
pub(crate) const CONFIG: &str = include_str!("../../../judge0/tests/recorded/config_info.json");

/// The languages of the Judge0 that was recorded.
pub(crate) const LANGUAGES: &str = include_str!("../../../judge0/tests/recorded/languages.json");

/// A recorded exchange.
///
/// # Panics
/// Panics if [`RECORDED`] has no recording of this name.
#[must_use]
pub fn recording(name: &str) -> Value {
    let found = RECORDED.iter().find(|(known, _)| *known == name);
    let (_, text) = found.unwrap_or_else(|| panic!("no recording {name}"));
    serde_json::from_str(text).expect("recordings are JSON")
}

/// The JSON body of the response in a recorded exchange.
pub(crate) fn body(text: &str) -> Value {
    let mut exchange: Value = serde_json::from_str(text).expect("recordings are JSON");
    exchange["response"]["body"].take()
}
