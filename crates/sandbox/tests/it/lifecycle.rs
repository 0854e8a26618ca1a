//! The end of runs, slots and judges: none of their processes and cgroups is left.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use gavel_domain::{Clock, Outcome};
use gavel_sandbox::{InitProgram, RunLimits, Sandbox, SandboxConfig, SandboxError, StartError, TierChoice};

use crate::support::{C, Fixture, chain, config, limits, printed, sandbox};

/// The top groups that the judge with this pid created, in every hierarchy.
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

/// The processes whose parent has this pid.
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
async fn cancelled_run_is_ended_and_its_slot_is_usable_again() {
    let mut fixture = Fixture::open().await;
    let program = fixture.program(C, "#include <unistd.h>\nint main(){fork();for(;;)pause();}").await;
    let long = RunLimits { wall_time: Duration::from_mins(1), ..limits() };
    let run = fixture.workspace.run(&program, Bytes::new(), &long);
    assert!(tokio::time::timeout(Duration::from_millis(100), run).await.is_err());
    let traces = "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))";
    assert_eq!(printed(&fixture.python(traces).await), "1");
    let short = RunLimits { wall_time: Duration::from_millis(200), ..limits() };
    let run = fixture.workspace.run(&program, Bytes::new(), &short).await.unwrap();
    assert_eq!(run.outcome, Outcome::TimeLimit { clock: Clock::Wall });
}

#[tokio::test]
async fn workspace_is_refused_after_shutdown() {
    let sandbox = sandbox(2).await;
    let clone = sandbox.clone();
    let workspace = sandbox.workspace().await.unwrap();
    drop(workspace);
    sandbox.shutdown().await;
    assert!(matches!(clone.workspace().await, Err(SandboxError::Closed)));
}

#[tokio::test]
async fn workspace_waits_for_a_free_slot() {
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
async fn killed_judge_leaves_no_process_and_the_next_start_removes_its_groups() {
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
    let processes = wait_for(|| {
        let init = *children_of(pid).first()?;
        let program = *children_of(init).first()?;
        children_of(program).first().map(|child| [init, program, *child])
    });
    judge.kill().unwrap();
    judge.wait().unwrap();
    wait_for(|| processes.iter().all(|pid| !is_alive(*pid)).then_some(()));
    assert!(!groups_of(pid).is_empty());
    sandbox(1).await.shutdown().await;
    assert_eq!(groups_of(pid), Vec::<String>::new());
}

/// Polls until other processes, which send no event, have reached a state; panics after ten seconds.
fn wait_for<T>(mut state: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(reached) = state() {
            return reached;
        }
        assert!(std::time::Instant::now() < deadline, "not reached within ten seconds");
        std::thread::yield_now();
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn start_error_names_what_is_missing() {
    let error = Sandbox::start(SandboxConfig { slots: 0, ..config(1) }).await.unwrap_err();
    assert!(matches!(error, StartError::Slots), "{}", chain(&error));
    let init = InitProgram::Path("/nonexistent/init".into());
    let error = Sandbox::start(SandboxConfig { init, ..config(1) }).await.unwrap_err();
    assert!(chain(&error).contains("/nonexistent/init"), "{}", chain(&error));
    // A program that is not an init: it exits, and the error says that the slot did not start.
    let init = InitProgram::Path("/usr/bin/true".into());
    let error = Sandbox::start(SandboxConfig { init, ..config(1) }).await.unwrap_err();
    assert!(matches!(error, StartError::Slot(_)), "{}", chain(&error));
}

#[tokio::test]
async fn named_tier_is_the_one_in_use() {
    use gavel_sandbox::{CgroupVersion, IdMapping, TierChoice, probe};
    let checks = probe(&config(1)).await;
    let offered = |name| checks.iter().any(|check| check.name == name && check.ok);
    let (v1, v2) = (Some(CgroupVersion::V1), Some(CgroupVersion::V2));
    let best = if offered("cgroup v2") { v2 } else { v1 };
    let rows = [
        (TierChoice::Auto, best, IdMapping::Separate),
        (TierChoice::CgroupV2, v2, IdMapping::Separate),
        (TierChoice::CgroupV1, v1, IdMapping::Separate),
        (TierChoice::NoUserNamespace, best, IdMapping::Unmapped),
        (TierChoice::NoCgroup, None, IdMapping::Separate),
    ];
    for (tier, cgroups, id_mapping) in rows {
        let started = Sandbox::start(SandboxConfig { tier, ..config(1) }).await;
        if cgroups == v1 && !offered("cgroup v1") || cgroups == v2 && !offered("cgroup v2") {
            let error = chain(&started.unwrap_err());
            assert!(error.contains("cgroup") && error.contains("SANDBOX_TIER=no-cgroup"), "{tier}: {error}");
            continue;
        }
        let sandbox = started.unwrap();
        assert_eq!((sandbox.tier().cgroups, sandbox.tier().id_mapping), (cgroups, id_mapping), "{tier}");
        let mut fixture = Fixture { workspace: sandbox.workspace().await.unwrap(), sandbox };
        let hog =
            "#include <stdlib.h>\n#include <string.h>\nint main(){for(;;)memset(malloc(1<<20),1,1<<20);}";
        assert_eq!(fixture.c(hog).await.outcome, Outcome::MemoryLimit, "{tier}");
        let spinning = RunLimits { wall_time: Duration::from_mins(1), ..limits() };
        let run = fixture.run(C, "int main(){for(;;);}", &spinning).await;
        assert_eq!(run.outcome, Outcome::TimeLimit { clock: Clock::Cpu }, "{tier}");
        assert_eq!(fixture.c("int main(){return 3;}").await.outcome, Outcome::Exited { code: 3 }, "{tier}");
    }
}

#[tokio::test]
async fn probe_names_each_means_with_its_remedy() {
    let checks = gavel_sandbox::probe(&config(1)).await;
    let names: Vec<_> = checks.iter().map(|check| check.name).collect();
    let of_the_kernel =
        ["kernel", "seccomp", "user namespaces", "separate ids for programs", "waiting time", "CPUs"];
    let of_groups = ["CPU weight", "cgroup v2", "cgroup v1", "sandbox slot"];
    assert_eq!(names, [&of_the_kernel[..], &of_groups].concat());
    for check in &checks {
        assert!(!check.detail.is_empty() && !check.impact.is_empty(), "{check}");
        assert!(check.ok || !check.remedy.is_empty(), "{check}");
    }
    // These tests run in a slot, so one can be built.
    assert!(checks.last().unwrap().ok, "{}", checks.last().unwrap());
}

#[test]
fn start_without_privileges_fails_and_names_the_remedy() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("languages.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gavel-sandbox-init"));
    command.args(["71".as_ref(), source.as_os_str()]);
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    // The executable may be in a directory that this user cannot enter.
    let Ok(output) = command.output() else { panic!("cannot run {command:?} as another user") };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success()
            && error.contains("memory, pids")
            && error.contains("SANDBOX_TIER=no-cgroup"),
        "{error}"
    );
}

#[tokio::test]
async fn program_ends_the_session_that_its_child_started() {
    // Without cgroups it depends on the machine whether programs can start sessions.
    let sandbox = Sandbox::start(SandboxConfig { tier: TierChoice::Auto, ..config(1) }).await.unwrap();
    let mut fixture = Fixture { workspace: sandbox.workspace().await.unwrap(), sandbox };
    let source = "import os, signal, subprocess\nchild = subprocess.Popen(['sleep', '100'], start_new_session=True)\n\
        os.killpg(os.getpgid(child.pid), signal.SIGTERM)\nprint(-child.wait())";
    let run = fixture.python(source).await;
    assert_eq!(printed(&run), "15");
    fixture.sandbox.shutdown().await;
}
