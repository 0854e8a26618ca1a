//! Checking in a slot whether the toolchain of a language works.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{MAX_PROGRAM_BYTES, PreparedRun, Workspace, compiled, input, prepare};
use crate::host::error::SandboxError;
use crate::host::memfd;
use crate::host::program::{Compilation, Program};
use crate::host::speedup;
use crate::host::toolchain::ToolchainCheck;
use crate::language::{FrontEnd, Language, Speedup};
use crate::protocol::limits::RunLimits;
use crate::protocol::wire::{ProcessExit, RunRequest};

/// The CPU time that building a front end may take; 1.5 s is usual.
const FRONT_END_CPU_TIME: Duration = Duration::from_mins(1);

impl Workspace {
    /// Asks a language's toolchain for its version, and builds the language's front end with it.
    pub(crate) async fn check_toolchain(
        &mut self,
        language: &Arc<Language>,
    ) -> Result<ToolchainCheck, SandboxError> {
        if !std::path::Path::new(&language.toolchain).exists() {
            return Ok(ToolchainCheck::Missing);
        }
        let limits = RunLimits::VERSION;
        let request = RunRequest {
            argv: language.version.clone(),
            env: language.env(&limits),
            files: Vec::new(),
            limits: limits.resources(),
            artefact: None,
            has_spare_cpu: false,
        };
        let prepared = PreparedRun {
            request,
            limits: &limits,
            stdin: input(b"")?,
            contents: Vec::new(),
            expected: b"",
            merge_stderr: true,
            spare_cpu: None,
        };
        let finished = match self.execute(prepared).await {
            Err(error @ SandboxError::Launch { .. }) => return Ok(ToolchainCheck::Broken(error.to_string())),
            finished => finished?,
        };
        let text = String::from_utf8_lossy(&finished.stdout.bytes).trim().to_owned();
        if finished.report.exit == ProcessExit::Exited(0) && !text.is_empty() {
            let speedup = speedup::usable(language).await;
            if language.speedup.is_some() && speedup.is_none() {
                let (name, key) = (&language.name, language.key.as_deref());
                tracing::info!(name, key, "submissions take longer than they could; see scripts/languages");
            }
            return self.check_front_end(language, speedup, text).await;
        }
        Ok(ToolchainCheck::Broken(format!("{} ({:?})", last_line(&text), finished.report.exit)))
    }

    /// Builds the front end of a language whose toolchain printed its version.
    async fn check_front_end(
        &mut self,
        language: &Arc<Language>,
        speedup: Option<Speedup>,
        printed: String,
    ) -> Result<ToolchainCheck, SandboxError> {
        let Some(FrontEnd { source, build, built }) = &language.front_end else {
            return Ok(ToolchainCheck::Works { printed, front_end: None });
        };
        if let Some(file) =
            built.as_ref().filter(|_| speedup.is_some()).and_then(|built| read_built(built, language, source))
        {
            let front_end = Some(Program::new(Arc::clone(language), None, file));
            return Ok(ToolchainCheck::Works { printed, front_end });
        }
        // The source is not a submission, so a busy machine is no reason to give up.
        let limits = RunLimits {
            cpu_time: FRONT_END_CPU_TIME,
            wall_time: FRONT_END_CPU_TIME * 10,
            ..language.compile_limits()
        };
        let source = memfd::sealed("front end", source.as_bytes()).map_err(prepare("front end"))?;
        let faster = speedup.as_ref().map(|speedup| speedup.added_to_compile(build));
        let build = faster.as_ref().unwrap_or(build);
        let finished = self.run_compiler(language, build, &limits, None, source.as_fd()).await?;
        Ok(match compiled(language, speedup.as_ref(), &limits, finished)? {
            Compilation::Ready(program) => ToolchainCheck::Works { printed, front_end: Some(program) },
            Compilation::Failed { output } => {
                ToolchainCheck::NoFrontEnd(last_line(String::from_utf8_lossy(&output).trim()))
            }
        })
    }
}

/// Reads the front end that the toolchain's installation built. Returns `None` if it built one from another source, or did
/// not build one.
fn read_built(folder: &Path, language: &Language, source: &str) -> Option<OwnedFd> {
    let built_from = std::fs::read_to_string(folder.join(&language.source)).ok()?;
    let mut artefact = File::open(folder.join(&language.artefact)).ok().filter(|_| built_from == source)?;
    memfd::sealed_copy("front end", &mut artefact, MAX_PROGRAM_BYTES).ok().flatten()
}

/// The last line of what a toolchain printed, at most 200 characters.
fn last_line(printed: &str) -> String {
    printed.lines().last().unwrap_or("it printed nothing").chars().take(200).collect()
}
