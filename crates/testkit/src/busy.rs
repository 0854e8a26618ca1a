//! Processes that never sleep, to make the machine busy.

use std::process::{Child, Command, Stdio};

/// Computes as long as the process whose id is the first argument lives.
const SCRIPT: &str =
    "while kill -0 $1 2>/dev/null; do i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; done";

/// Processes that never sleep. They end on drop, or soon after the process that started them.
pub struct BusyProcesses(Vec<Child>);

impl BusyProcesses {
    /// Starts this many, each in a separate session: the kernel may divide CPU time among sessions.
    ///
    /// # Panics
    /// Panics if `setsid` or `sh` cannot be started.
    #[must_use]
    pub fn start(number: usize) -> Self {
        let own = std::process::id().to_string();
        let start = |_| {
            let mut command = Command::new("setsid");
            command.args(["sh", "-c", SCRIPT, "busy", &own]).stdin(Stdio::null()).stdout(Stdio::null());
            command.spawn().unwrap_or_else(|error| panic!("cannot start setsid: {error}"))
        };
        Self((0..number).map(start).collect())
    }
}

impl Drop for BusyProcesses {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // An error means that it has exited.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
