//! The evidence of a failed run: its log, the log of each process, and all calls to Convex.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use gavel_testkit::Process;

use crate::pipeline::Pipeline;
use crate::service::wall_time;

/// Writes the evidence into a new directory below `below`, and returns that directory.
pub(crate) fn save(pipeline: &Pipeline, below: &Path, seed: u64) -> io::Result<PathBuf> {
    let folder = below.join(format!("seed-{seed}-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    write_lines(&folder.join("run.log"), pipeline.run_log.lines())?;
    let services = pipeline.services.iter().map(|service| (service.target.to_string(), &service.process));
    let servers = pipeline.servers.iter().zip(1..).map(|(server, n)| (format!("nats-{n}"), server.process()));
    for (name, process) in services.chain(servers) {
        write_lines(&folder.join(format!("{name}.log")), log(process))?;
    }
    write_lines(&folder.join("calls.txt"), calls(pipeline))?;
    Ok(folder)
}

fn log(process: &Process) -> Vec<String> {
    process.log().into_iter().map(|line| line.text).collect()
}

/// One line per call to Convex: time, number, endpoint, submission, callback id, and how it was answered.
fn calls(pipeline: &Pipeline) -> Vec<String> {
    let calls = pipeline.convex.calls();
    let lines = calls.iter().map(|call| {
        let at = wall_time(call.received_at).duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        format!(
            "{:.3} {} {} {} {} applied={:?} answer={:?}",
            at.as_secs_f64(),
            call.number,
            call.endpoint,
            call.id.as_deref().unwrap_or("-"),
            call.header("webhook-id").unwrap_or("-"),
            call.applied_at().map(|applied| applied.duration_since(call.received_at)),
            call.answer().map(|answer| (answer.status, answer.reason.as_deref().unwrap_or_default())),
        )
    });
    lines.collect()
}

fn write_lines(path: &Path, lines: Vec<String>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.flush()
}
