//! System V objects: measuring them, and removing them after each run, since they outlive their processes.
//!
//! The kernel counts the objects of each namespace; its source says what it needs for each (`ipc/sem.c`, `ipc/msg.c`,
//! `ipc/msgutil.c`). Finding that there are none costs three system calls; only a program that left some costs more.
//! POSIX message queues cannot be created at all (the filter refuses it), and POSIX shared memory is a file in the box.
#![expect(unsafe_code, reason = "System V calls have no safe form")]

use std::{mem, ptr};

/// From `linux/shm.h`, `linux/msg.h`, `linux/sem.h`: `*_INFO` returns the highest used index, `*_STAT` an object by
/// its index.
const SHM_STAT: i32 = 13;
const SHM_INFO: i32 = 14;
const MSG_STAT: i32 = 11;
const MSG_INFO: i32 = 12;
const SEM_STAT: i32 = 18;
const SEM_INFO: i32 = 19;
/// The index of `shm_rss` and `shm_swp` of `struct shm_info`, in words.
const RESIDENT_PAGES: usize = 2;
const SWAPPED_PAGES: usize = 3;
/// The kernel's memory for a set of semaphores and for each semaphore in it, in bytes.
const SET_BYTES: u64 = 256;
const SEMAPHORE_BYTES: u64 = 64;
/// The same for each process that wants its operations on the set undone when it exits (`SEM_UNDO`).
const SET_UNDO_BYTES: u64 = 96;
const SEMAPHORE_UNDO_BYTES: u64 = 2;
/// The kernel's memory for a queue, and for a message in addition to its text, in bytes.
const QUEUE_BYTES: u64 = 256;
const MESSAGE_BYTES: u64 = 48;
/// An allocation of any size may take up to twice as much.
const MESSAGE_ROUNDING: u64 = 2;
/// Larger than any of the structures that the kernel fills for these calls (the largest is under 128 bytes).
type ResultBuffer = [u64; 64];

/// Removes every object of the namespace. Returns whether none is left.
pub(super) fn purge() -> bool {
    let mut result: ResultBuffer = [0; 64];
    // SAFETY: the kernel writes less than a `ResultBuffer` for each of these commands, into memory of this function;
    // an id that is removed belongs to this slot's own IPC namespace.
    unsafe {
        let into = result.as_mut_ptr();
        let shared_memory = purge_kind(
            || libc::shmctl(0, SHM_INFO, into.cast()),
            |index| libc::shmctl(index, SHM_STAT, into.cast()),
            |id| libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()),
        );
        let queues = purge_kind(
            || libc::msgctl(0, MSG_INFO, into.cast()),
            |index| libc::msgctl(index, MSG_STAT, into.cast()),
            |id| libc::msgctl(id, libc::IPC_RMID, ptr::null_mut()),
        );
        let semaphores = purge_kind(
            || libc::semctl(0, 0, SEM_INFO, into),
            |index| libc::semctl(index, 0, SEM_STAT, into),
            |id| libc::semctl(id, 0, libc::IPC_RMID),
        );
        shared_memory && queues && semaphores
    }
}

/// The memory of every System V segment of the namespace, in bytes, whether a process maps it or not.
pub(super) fn shared_memory_bytes() -> u64 {
    let mut result: ResultBuffer = [0; 64];
    // SAFETY: the kernel writes a `struct shm_info`, which is smaller than a `ResultBuffer`, into memory of this
    // function.
    let found = unsafe { libc::shmctl(0, SHM_INFO, result.as_mut_ptr().cast()) };
    let pages = if found < 0 { 0 } else { result[RESIDENT_PAGES].saturating_add(result[SWAPPED_PAGES]) };
    pages.saturating_mul(u64::try_from(rustix::param::page_size()).unwrap_or(4096))
}

/// The most memory that the semaphores and message queues of the namespace can take if this many processes use them, in
/// bytes.
pub(super) fn semaphore_and_queue_bytes(processes: u32) -> u64 {
    // SAFETY: both structures are plain numbers. The kernel writes them into memory of this function; a call that fails
    // leaves them at 0.
    let (semaphores, queues) = unsafe {
        let (mut semaphores, mut queues): (libc::seminfo, libc::msginfo) = (mem::zeroed(), mem::zeroed());
        libc::semctl(0, 0, SEM_INFO, &raw mut semaphores);
        libc::msgctl(0, MSG_INFO, (&raw mut queues).cast());
        (semaphores, queues)
    };
    // For these commands the kernel puts what exists into fields of other meaning (semctl(2), msgctl(2)).
    let [sets, semaphores, queues, messages, text_bytes] =
        [semaphores.semusz, semaphores.semaem, queues.msgpool, queues.msgmap, queues.msgtql]
            .map(|number| u64::try_from(number).unwrap_or(0));
    let processes = u64::from(processes);
    let set_bytes = sets.saturating_mul(SET_BYTES + SET_UNDO_BYTES * processes);
    let semaphore_bytes = semaphores.saturating_mul(SEMAPHORE_BYTES + SEMAPHORE_UNDO_BYTES * processes);
    let message_bytes = (messages * MESSAGE_BYTES + text_bytes) * MESSAGE_ROUNDING;
    set_bytes.saturating_add(semaphore_bytes).saturating_add(queues * QUEUE_BYTES + message_bytes)
}

/// `highest` returns the highest index in use, which is 0 for one object and for none.
fn purge_kind(highest: impl Fn() -> i32, at: impl Fn(i32) -> i32, remove: impl Fn(i32) -> i32) -> bool {
    let highest = highest();
    if highest < 0 {
        return false;
    }
    (0..=highest).all(|index| {
        let id = at(index);
        id < 0 || remove(id) == 0
    })
}

const _: () = assert!(mem::size_of::<ResultBuffer>() >= mem::size_of::<libc::shmid_ds>());
