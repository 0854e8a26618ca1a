//! What a failed run leaves behind: its journal, the log of each process, and the record of calls.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use gavel_testkit::Process;

use crate::service::wall;
use crate::world::World;

/// Writes it into a new folder below the directory, and returns the folder.
pub(crate) fn keep(world: &World, below: &Path, seed: u64) -> io::Result<PathBuf> {
    let folder = below.join(format!("seed-{seed}-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    write(&folder.join("journal.txt"), world.journal.lines())?;
    let services = world.services.iter().map(|service| (service.target.to_string(), &service.process));
    let servers = world.servers.iter().zip(1..).map(|(server, n)| (format!("nats-{n}"), server.process()));
    for (name, process) in services.chain(servers) {
        write(&folder.join(format!("{name}.log")), log(process))?;
    }
    write(&folder.join("calls.txt"), calls(world))?;
    Ok(folder)
}

fn log(process: &Process) -> Vec<String> {
    process.log().into_iter().map(|line| line.text).collect()
}

/// Each call of Convex: when, what, about whom, what became of it.
fn calls(world: &World) -> Vec<String> {
    let calls = world.convex.calls();
    let lines = calls.iter().map(|call| {
        let at = wall(call.received_at).duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
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

fn write(path: &Path, lines: Vec<String>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.flush()
}
