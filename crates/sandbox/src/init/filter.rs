//! The system call filter that every program inherits (`docs/adr/0003-system-call-filter.md`).
//!
//! Every call of the kernels up to Linux 6.18 has a decision: thirty language runtimes change their calls with each
//! release, and a wrong refusal is a wrong verdict, so most are allowed. Refused are calls that could see past the
//! namespaces, reach other processes, outlive the run, reach large parts of the kernel that no submission needs, or
//! bypass the filter itself. A call without a decision does not exist for a program; a test fails on a kernel that has
//! one. The init installs the filter last, on itself, so that a run does not have to.
#![expect(unsafe_code, reason = "installing a filter has no safe form")]

mod allowed;
mod bpf;
mod calls;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use libc::{c_long, sock_filter};

use super::step::{StepContext, StepError};
use allowed::{ALLOWED_CALLS, ALLOWED_CALLS_OF_ARCHITECTURE};
use bpf::{ARCHITECTURE_OFFSET, NUMBER_OFFSET, Test, argument_offset, jump, load, ret};
use calls::{
    ALLOW, ARGUMENT_RULES, ArgumentRule, IGNORE, IGNORED_CALLS, MISSING, MISSING_CALLS, REFUSE, REFUSED_CALLS,
};

#[cfg(target_arch = "x86_64")]
const NATIVE_ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const NATIVE_ARCHITECTURE: u32 = 0xC000_00B7;

/// If memory is sampled, there are no files in memory: one that no process maps would not be measured.
const SAMPLED: (c_long, u32) = (libc::SYS_memfd_create, MISSING);
/// If sessions share the CPU, programs stay in that of the init.
const ONE_SESSION: (c_long, u32) = (libc::SYS_setsid, IGNORE);

/// Installs the filter on this process and every process that it starts. `is_sampled` says whether memory is sampled, and
/// `has_one_session` whether programs must stay in the session of this process.
pub(super) fn install(is_sampled: bool, has_one_session: bool) -> Result<(), StepError> {
    let further = [(is_sampled, SAMPLED), (has_one_session, ONE_SESSION)].into_iter();
    let further: Vec<_> = further.filter(|(applies, _)| *applies).map(|(_, decision)| decision).collect();
    let mut filter = program(&further);
    let length = u16::try_from(filter.len()).unwrap_or(u16::MAX);
    let description = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    // SAFETY: the description points at `filter`, which outlives the call; the kernel copies it.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const description) };
    let installed = if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    installed.step(|| "install the system call filter (needs CONFIG_SECCOMP_FILTER)".to_owned())
}

/// The decisions that depend on arguments come first. For calls that are always allowed the kernel looks up a bit, which it
/// computed when the filter was installed; for all others it evaluates the filter. `further` decisions replace all others.
fn program(further: &[(c_long, u32)]) -> Vec<sock_filter> {
    // The tables of other architectures give calls other numbers. So does x32, beyond the last decision.
    let mut code = vec![
        load(ARCHITECTURE_OFFSET),
        jump(Test::Equals, NATIVE_ARCHITECTURE, 1, 0),
        ret(MISSING),
        load(NUMBER_OFFSET),
    ];
    code.extend(for_call(libc::SYS_fcntl, fcntl_rule()));
    code.extend(for_call(libc::SYS_ioctl, ioctl_rule()));
    for (call, answer) in further {
        code.extend(for_call(*call, vec![ret(*answer)]));
    }
    for rule in ARGUMENT_RULES {
        code.extend(for_call(rule.call, argument_rule(rule)));
    }
    for (last, answer) in ranges() {
        code.extend([jump(Test::Exceeds, last, 1, 0), ret(answer)]);
    }
    code.push(ret(MISSING));
    code
}

/// The instructions, executed for this call only. They end with an answer.
fn for_call(call: c_long, instructions: Vec<sock_filter>) -> impl Iterator<Item = sock_filter> {
    let length = u8::try_from(instructions.len()).unwrap_or(u8::MAX);
    std::iter::once(jump(Test::Equals, number(call), 0, length)).chain(instructions)
}

fn argument_rule(rule: &ArgumentRule) -> Vec<sock_filter> {
    let mut code = vec![load(argument_offset(rule.argument))];
    for (value, left) in rule.values.iter().zip((1..=rule.values.len()).rev()) {
        code.push(jump(rule.test, *value, u8::try_from(left).unwrap_or(u8::MAX), 0));
    }
    code.extend([ret(rule.otherwise), ret(rule.matched)]);
    code
}

/// The answers that depend on the number only, as ranges without gaps from 0 on: the last number, and the answer.
fn ranges() -> Vec<(u32, u32)> {
    let answers = answers();
    let end = answers.keys().next_back().map_or(0, |last| last + 1);
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for call in 0..end {
        let answer = answers.get(&call).copied().unwrap_or(MISSING);
        match ranges.last_mut() {
            Some((last, same)) if *same == answer => *last = call,
            _ => ranges.push((call, answer)),
        }
    }
    ranges
}

/// The answers that depend on the number only.
fn answers() -> BTreeMap<u32, u32> {
    let lists = [
        (ALLOWED_CALLS, ALLOW),
        (ALLOWED_CALLS_OF_ARCHITECTURE, ALLOW),
        (REFUSED_CALLS, REFUSE),
        (IGNORED_CALLS, IGNORE),
        (MISSING_CALLS, MISSING),
    ];
    lists.iter().flat_map(|(calls, answer)| calls.iter().map(|call| (number(*call), *answer))).collect()
}

/// Refuses to watch a directory or to lease a file, and makes `O_NONBLOCK` on descriptors 1 and 2 succeed without
/// effect.
///
/// Some runtimes make their standard output non-blocking and buffer what a full pipe does not take; if the program then
/// exits at once, that output is lost. On a blocking pipe, each write returns after all of it was written.
fn fcntl_rule() -> Vec<sock_filter> {
    let mut code = vec![
        load(argument_offset(1)),
        jump(Test::Equals, libc::F_NOTIFY.cast_unsigned(), 1, 0),
        jump(Test::Equals, libc::F_SETLEASE.cast_unsigned(), 0, 1),
        ret(REFUSE),
        jump(Test::Equals, libc::F_SETFL.cast_unsigned(), 0, 5),
        load(argument_offset(2)),
        jump(Test::HasBits, libc::O_NONBLOCK.cast_unsigned(), 0, 3),
    ];
    code.extend(ignore_for_output());
    code
}

/// Makes `FIONBIO` on descriptors 1 and 2 succeed without effect.
fn ioctl_rule() -> Vec<sock_filter> {
    let fionbio = u32::try_from(libc::FIONBIO).unwrap_or(0);
    let mut code = vec![load(argument_offset(1)), jump(Test::Equals, fionbio, 0, 3)];
    code.extend(ignore_for_output());
    code
}

/// Allows other descriptors than 1 and 2; the fourth instruction allows any.
fn ignore_for_output() -> [sock_filter; 5] {
    [
        load(argument_offset(0)),
        jump(Test::Equals, libc::STDOUT_FILENO.cast_unsigned(), 2, 0),
        jump(Test::Equals, libc::STDERR_FILENO.cast_unsigned(), 1, 0),
        ret(ALLOW),
        ret(IGNORE),
    ]
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}
