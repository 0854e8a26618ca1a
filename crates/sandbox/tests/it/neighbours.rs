//! What a program can take from the programs in other slots, if they have the same user.

use std::time::Duration;

use bytes::Bytes;
use gavel_sandbox::{Compilation, RunLimits, Workspace};

use crate::support::{C, chain, limits, printed, sandbox};

/// Sends descriptors that no process receives, as many as the kernel lets the user send, and holds them if there is
/// input. Succeeds if the kernel has refused to send more.
const SENDS: &str = "#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
int main(){
    int files[250] = {0}, failures = 0;
    char byte = 0, control[CMSG_SPACE(sizeof files)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET; header->cmsg_type = SCM_RIGHTS; header->cmsg_len = CMSG_LEN(sizeof files);
    memcpy(CMSG_DATA(header), files, sizeof files);
    for (int i = 0; i < 20; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
        failures += sendmsg(pair[0], &message, MSG_DONTWAIT) != 1;
    }
    if (read(0, &byte, 1) == 1) { prctl(PR_SET_NAME, \"holds them\"); pause(); }
    return failures == 0;
}";

/// Whether a process of this name exists on the machine.
fn has_process(name: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut names = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
    names.any(|found| found.trim_end() == name)
}

async fn compile(workspace: &mut Workspace, source: &str) -> gavel_sandbox::Program {
    let compiled =
        workspace.compile(C, source.as_bytes()).await.unwrap_or_else(|fault| panic!("{}", chain(&fault)));
    match compiled {
        Compilation::Ready(program) => program,
        Compilation::Failed { output } => panic!("{}", String::from_utf8_lossy(&output)),
    }
}

#[tokio::test]
async fn descriptors_that_no_process_receives_are_no_fault_of_other_slots() {
    let sandbox = sandbox(2).await;
    let (mut a, mut b) = (sandbox.workspace().await.unwrap(), sandbox.workspace().await.unwrap());
    let hostile = compile(&mut a, SENDS).await;
    let limits = RunLimits { wall_time: Duration::from_mins(5), ..limits() };
    printed(&a.run(&hostile, Bytes::new(), &limits).await.unwrap());
    let mut holds = Box::pin(a.run(&hostile, Bytes::from("hold"), &limits));
    let is_held = async {
        while !has_process("holds them") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = is_held => {}
        ended = &mut holds => panic!("{ended:?}"),
    }
    for victim in 0..4 {
        // A slot sends a compiled program to the judge, and the judge sends it to the slot.
        let source = format!("#include <stdio.h>\nint main(){{puts(\"{victim}\");}}");
        let run = async {
            let program = compile(&mut b, &source).await;
            b.run(&program, Bytes::new(), &limits).await.unwrap_or_else(|fault| panic!("{}", chain(&fault)))
        };
        tokio::select! {
            run = run => assert_eq!(printed(&run), victim.to_string()),
            ended = &mut holds => panic!("{ended:?}"),
        }
    }
}
