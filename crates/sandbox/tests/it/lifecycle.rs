//! Slots and judges come and go; what they started goes with them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use gavel_domain::{Clock, Outcome};
use gavel_sandbox::{InitProgram, RunLimits, Sandbox, SandboxConfig, SandboxError, StartError};

use crate::support::{Bench, C, chain, config, limits, printed, sandbox};

/// Groups of this machine that this pid made, in whatever hierarchy.
fn groups_of(pid: u32) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points =
        mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    let mut found = Vec::new();
    for point in points {
        let entries = std::fs::read_dir(point).into_iter().flatten().flatten();
        let names = entries.map(|entry| format!("{point}/{}", entry.file_name().to_string_lossy()));
        found.extend(names.filter(|name| name.contains(&format!("/gavel-{pid}-"))));
    }
    found
}

/// Processes of this machine whose parent is this pid.
fn children_of(pid: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(child) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok());
        if parent == Some(pid) {
            children.push(child);
        }
    }
    children
}

#[tokio::test]
async fn a_cancelled_run_is_ended_and_the_slot_is_whole_again() {
    let mut bench = Bench::open().await;
    let program = bench.program(C, "#include <unistd.h>\nint main(){fork();for(;;)pause();}").await;
    let long = RunLimits { wall_time: Duration::from_mins(1), ..limits() };
    let run = bench.workspace.run(&program, Bytes::new(), &long);
    assert!(tokio::time::timeout(Duration::from_millis(100), run).await.is_err());
    let traces = "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))";
    assert_eq!(printed(&bench.python(traces).await), "1");
    let short = RunLimits { wall_time: Duration::from_millis(200), ..limits() };
    let run = bench.workspace.run(&program, Bytes::new(), &short).await.unwrap();
    assert_eq!(run.outcome, Outcome::TimeLimit { clock: Clock::Wall });
}

#[tokio::test]
async fn a_shutdown_leaves_nothing_and_lends_nothing() {
    let sandbox = sandbox(2).await;
    let again = sandbox.clone();
    let waiting = sandbox.workspace().await.unwrap();
    drop(waiting);
    sandbox.shutdown().await;
    assert!(matches!(again.workspace().await, Err(SandboxError::Closed)));
}

#[tokio::test]
async fn workspaces_wait_for_a_free_slot() {
    let sandbox = sandbox(1).await;
    let first = sandbox.workspace().await.unwrap();
    let waiting = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { sandbox.workspace().await.is_ok() }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(first);
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn a_killed_judge_leaves_no_process_and_its_groups_go_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("endless.py");
    std::fs::write(&source, "import os, time\nos.fork()\nwhile True: time.sleep(1)").unwrap();
    let mut judge = Command::new(env!("CARGO_BIN_EXE_gavel-sandbox-init"))
        .args(["71".as_ref(), source.as_os_str()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = judge.id();
    // The program and its child below the init, which is the judge's only child.
    let program = wait_for(|| {
        let init = *children_of(pid).first()?;
        let program = *children_of(init).first()?;
        children_of(program).first().map(|child| [init, program, *child])
    });
    judge.kill().unwrap();
    judge.wait().unwrap();
    wait_for(|| program.iter().all(|pid| !alive(*pid)).then_some(()));
    assert!(!groups_of(pid).is_empty());
    sandbox(1).await.shutdown().await;
    assert_eq!(groups_of(pid), Vec::<String>::new());
}

/// Polls for a state of other processes, which have no event to wait for; fails after ten seconds.
fn wait_for<T>(mut state: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(reached) = state() {
            return reached;
        }
        assert!(std::time::Instant::now() < deadline, "not within ten seconds");
        std::thread::yield_now();
    }
}

fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn what_cannot_be_had_is_named() {
    let error = Sandbox::start(SandboxConfig { slots: 0, ..config(1) }).await.unwrap_err();
    assert!(matches!(error, StartError::Slots), "{}", chain(&error));
    let init = InitProgram::Path("/nonexistent/init".into());
    let error = Sandbox::start(SandboxConfig { init, ..config(1) }).await.unwrap_err();
    assert!(chain(&error).contains("/nonexistent/init"), "{}", chain(&error));
    // Some program that is no init: it ends, and that is said.
    let init = InitProgram::Path("/usr/bin/true".into());
    let error = Sandbox::start(SandboxConfig { init, ..config(1) }).await.unwrap_err();
    assert!(matches!(error, StartError::Slot(_)), "{}", chain(&error));
}

#[tokio::test]
async fn a_tier_that_is_named_is_the_one_that_is_used() {
    use gavel_sandbox::{CgroupVersion, Ids, TierChoice, probe};
    let findings = probe(&config(1)).await;
    let offered = |name| findings.iter().any(|finding| finding.name == name && finding.ok);
    let (v1, v2) = (Some(CgroupVersion::V1), Some(CgroupVersion::V2));
    let best = if offered("cgroup v2") { v2 } else { v1 };
    let rows = [
        (TierChoice::Auto, best, Ids::Two),
        (TierChoice::CgroupV2, v2, Ids::Two),
        (TierChoice::CgroupV1, v1, Ids::Two),
        (TierChoice::NoUserNamespace, best, Ids::Host),
        (TierChoice::NoCgroup, None, Ids::Two),
    ];
    for (tier, cgroups, ids) in rows {
        let started = Sandbox::start(SandboxConfig { tier, ..config(1) }).await;
        if cgroups == v1 && !offered("cgroup v1") || cgroups == v2 && !offered("cgroup v2") {
            let said = chain(&started.unwrap_err());
            assert!(said.contains("cgroup") && said.contains("SANDBOX_TIER=no-cgroup"), "{tier}: {said}");
            continue;
        }
        let sandbox = started.unwrap();
        assert_eq!((sandbox.tier().cgroups, sandbox.tier().ids), (cgroups, ids), "{tier}");
        let mut bench = Bench { workspace: sandbox.workspace().await.unwrap(), sandbox };
        let hog =
            "#include <stdlib.h>\n#include <string.h>\nint main(){for(;;)memset(malloc(1<<20),1,1<<20);}";
        assert_eq!(bench.c(hog).await.outcome, Outcome::MemoryLimit, "{tier}");
        let spinning = RunLimits { wall_time: Duration::from_mins(1), ..limits() };
        let run = bench.run(C, "int main(){for(;;);}", &spinning).await;
        assert_eq!(run.outcome, Outcome::TimeLimit { clock: Clock::Cpu }, "{tier}");
        assert_eq!(bench.c("int main(){return 3;}").await.outcome, Outcome::Exited { code: 3 }, "{tier}");
    }
}

#[tokio::test]
async fn the_probe_names_each_means_with_its_remedy() {
    let findings = gavel_sandbox::probe(&config(1)).await;
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    let expected = ["kernel", "seccomp", "user namespaces", "ids of their own for programs"];
    assert_eq!(names, [&expected[..], &["cgroup v2", "cgroup v1", "a slot"]].concat());
    for finding in &findings {
        assert!(!finding.found.is_empty() && !finding.costs.is_empty(), "{finding}");
        assert!(finding.ok || !finding.remedy.is_empty(), "{finding}");
    }
    // These tests have a slot to run in.
    assert!(findings.last().unwrap().ok, "{}", findings.last().unwrap());
}

#[test]
fn without_privileges_the_start_fails_and_says_why() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("languages.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gavel-sandbox-init"));
    command.args(["71".as_ref(), source.as_os_str()]);
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    // The executable may be where that user cannot reach it.
    let Ok(output) = command.output() else { panic!("cannot run {command:?} as another user") };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("memory, pids") && said.contains("SANDBOX_TIER=no-cgroup"),
        "{said}"
    );
}
