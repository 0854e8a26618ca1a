//! The inits of slots: their ids, their end, and their replacement.

use std::fs;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use gavel_domain::{LanguageId, Outcome};
use gavel_sandbox::{Compilation, Languages, Sandbox, SandboxConfig, SandboxError};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{C, Fixture, chain, config, limits, printed};

/// The inits of slots whose ids begin at `first_uid`, by pid.
fn inits(first_uid: u32) -> Vec<u32> {
    let ids = first_uid + 512..first_uid + 1024;
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| uid(*pid).is_some_and(|uid| ids.contains(&uid))).collect()
}

/// The user id of a process.
fn uid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse().ok())
}

/// The directories of a process's group, in each hierarchy in which a slot has its own.
fn groups(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let paths: Vec<_> = text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points =
        mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    let all = points.flat_map(|point| paths.iter().map(move |path| format!("{point}{path}")));
    all.filter(|path| path.contains("/slot-") && fs::exists(path).unwrap()).collect()
}

/// Waits until other processes, which send no event, have reached a state; panics after ten seconds.
async fn eventually(mut is_reached: impl FnMut() -> bool) {
    let reached = async {
        while !is_reached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reached).await.expect("not reached within ten seconds");
}

#[tokio::test]
async fn killed_init_leaves_no_zombie_and_no_group_and_its_slot_is_built_again() {
    let first_uid = 1_000_000;
    let sandbox = Sandbox::start(SandboxConfig { first_uid, ..config(1) }).await.unwrap();
    let mut fixture = Fixture { workspace: sandbox.workspace().await.unwrap(), sandbox };
    let program = fixture.program(C, "int main(){return 0;}").await;
    for _ in 0..2 {
        let init = inits(first_uid);
        let groups = groups(init[0]);
        assert!(init.len() == 1 && !groups.is_empty(), "{init:?} {groups:?}");
        let pid = Pid::from_raw(init[0].cast_signed()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        eventually(|| !fs::exists(format!("/proc/{}", init[0])).unwrap()).await;
        eventually(|| !groups.iter().any(|group| fs::exists(group).unwrap())).await;
        let run = fixture.workspace.run(&program, Bytes::new(), &limits()).await;
        assert_eq!(printed(&run.unwrap()), "");
    }
}

/// The kernel kills it if a program takes all memory and is slow to end.
#[tokio::test]
async fn run_is_repeated_once_if_the_init_is_killed_meanwhile() {
    let first_uid = 1_400_000;
    let sandbox = Sandbox::start(SandboxConfig { first_uid, ..config(1) }).await.unwrap();
    let mut fixture = Fixture { workspace: sandbox.workspace().await.unwrap(), sandbox };
    let program = fixture
        .program(C, "#include <unistd.h>\nint main(){char c;read(0,&c,1);usleep(500000);return c-'0';}")
        .await;
    for killed in [1, 2] {
        let kill = async {
            let mut last = 0;
            for _ in 0..killed {
                // The program runs: the init has a child.
                let children = |pid: u32| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
                let mut init = 0;
                eventually(|| {
                    init = inits(first_uid).into_iter().find(|pid| *pid != last).unwrap_or(0);
                    children(init).is_ok_and(|children| !children.is_empty())
                })
                .await;
                kill_process(Pid::from_raw(init.cast_signed()).unwrap(), Signal::KILL).unwrap();
                last = init;
            }
        };
        let limits = limits();
        let run = fixture.workspace.run(&program, Bytes::from_static(b"5"), &limits);
        let (run, ()) = tokio::join!(run, kill);
        if killed == 1 {
            assert_eq!(run.unwrap().outcome, Outcome::Exited { code: 5 });
        } else {
            let error = run.unwrap_err();
            assert!(matches!(error, SandboxError::Lost(_)), "{}", chain(&error));
        }
    }
}

#[tokio::test]
async fn slot_keeps_its_init_through_compilations_and_runs() {
    let first_uid = 1_200_000;
    let sandbox = Sandbox::start(SandboxConfig { first_uid, ..config(1) }).await.unwrap();
    let mut fixture = Fixture { workspace: sandbox.workspace().await.unwrap(), sandbox };
    let before = inits(first_uid);
    for source in ["int main(){return 0;}", "int main(){return 0*1;}"] {
        assert_eq!(printed(&fixture.c(source).await), "");
    }
    assert_eq!(inits(first_uid), before);
}

#[tokio::test]
async fn init_that_has_changed_is_replaced_after_the_run() {
    let first_uid = 1_300_000;
    let sandbox = Sandbox::start(SandboxConfig { first_uid, ..config(1) }).await.unwrap();
    let mut fixture = Fixture { workspace: sandbox.workspace().await.unwrap(), sandbox };
    let program = fixture.program(C, "int main(){return 0;}").await;
    let before = inits(first_uid);
    let done =
        Command::new("prlimit").args(["--pid", &before[0].to_string(), "--msgqueue=0"]).status().unwrap();
    assert!(done.success());
    for _ in 0..2 {
        let run = fixture.workspace.run(&program, Bytes::new(), &limits()).await;
        assert_eq!(printed(&run.unwrap()), "");
    }
    let after = inits(first_uid);
    assert!(before.len() == 1 && after.len() == 1 && before != after, "{before:?} {after:?}");
}

#[tokio::test]
async fn judges_on_one_machine_use_different_ids() {
    let mut ids = Vec::new();
    // Started in turn, and running at the same time.
    let mut judges = Vec::new();
    for _ in 0..2 {
        let mut fixture = Fixture::open().await;
        ids.push(printed(&fixture.python("import os; print(os.getuid())").await));
        judges.push(fixture);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn slot_is_built_again_after_its_toolchain_could_not_be_started() {
    let first_uid = 1_100_000;
    let file = tempfile::NamedTempFile::new().unwrap();
    let entry = "[[language]]\nids = [4711]\nname = \"Broken\"\ntoolchain = \"/bin/echo\"\n\
        version = [\"/bin/echo\", \"1.0\"]\nsource = \"main\"\nrun = [\"/usr/bin/missing\", \"/box/program/main\"]\n";
    fs::write(&file, entry).unwrap();
    let languages = Languages::default().with_file(file.path()).unwrap().only(&[50, 4711]);
    drop(file);
    let config = SandboxConfig { first_uid, languages, ..config(1) };
    let sandbox = Sandbox::start(config).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    let mut fixture = Fixture { workspace: sandbox.workspace().await.unwrap(), sandbox };
    let before = inits(first_uid);
    let Compilation::Ready(program) = fixture.workspace.compile(LanguageId(4711), b"x").await.unwrap() else {
        panic!("compiled nothing")
    };
    let error = fixture.workspace.run(&program, Bytes::new(), &limits()).await.unwrap_err();
    assert!(matches!(error, SandboxError::Launch { .. }), "{}", chain(&error));
    assert_eq!(printed(&fixture.c("int main(){return 0;}").await), "");
    let after = inits(first_uid);
    assert!(before.len() == 1 && after.len() == 1 && before != after, "{before:?} {after:?}");
}

#[test]
fn judge_that_is_root_and_cannot_give_programs_other_ids_does_not_start() {
    let source = tempfile::NamedTempFile::new().unwrap();
    for tier in ["auto", "no-cgroup"] {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-setuid", "--", env!("CARGO_BIN_EXE_gavel-sandbox-init"), "71"]);
        let output = command.arg(source.path()).env("SANDBOX_TIER", tier).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{tier}: {}", String::from_utf8_lossy(&output.stdout));
        assert!(error.contains("the judge is root") && error.contains("CAP_SETUID"), "{tier}: {error}");
    }
}
