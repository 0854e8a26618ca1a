"""What recorded stacks spend CPU time on, in plain categories."""

from __future__ import annotations

import re
from collections import Counter

# A sample belongs to the innermost frame that a pattern matches. Frames of general libraries match none, so that
# their callers decide: a hash table in the NATS client is work of the NATS client.
COSTS = [(name, re.compile(pattern)) for name, pattern in (
    # System calls. What they call in the kernel matches none, and receiving happens within sending over the loopback.
    ("sockets: sending", r"^(sock_write_iter|do_writev|vfs_writev|__sys_sendto|__sys_sendmsg)$"),
    ("sockets: receiving", r"^(sock_read_iter|ksys_read|__sys_recvfrom|__sys_recvmsg|__sys_accept4)$"),
    ("files", r"^(ksys_pwrite64|ksys_pread64|do_fsync|do_sys_open\w*|do_sys_ftruncate|__x64_sys_pwrite64)$"),
    ("threads: waiting, waking and switching", r"^(do_futex|do_epoll_p?wait|ep_poll|hrtimer_nanosleep|ksys_write|do_sched_yield"
                                              r"|exit_to_user_mode_loop|schedule)$"),
    ("other system calls", r"^do_syscall_64$"),
    ("page faults", r"^(asm_)?exc_page_fault$"),
    # Rust.
    ("allocation", r"^_?mi_|^(__libc_)?([mc]alloc|free|cfree|realloc)\b|^_int_(malloc|free|realloc)|^malloc_consolidate"),
    ("copies of memory", r"^_*mem(move|set|eqbody|c[mp][py])|^runtime\.mem(move|clr)"),
    ("signatures and digests", r"\b(sha2|hmac|digest|ring)::|sha256"),
    ("JSON", r"\bserde_json::|encoding/json"),
    ("protobuf", r"\bprost::|\bgavel_proto::"),
    ("parsing of URLs", r"\burl::"),
    ("HTTP", r"\b(hyper|hyper_util|axum|axum_core|tower|tower_http|http|http_body_util|reqwest|httparse|matchit)::"),
    ("NATS client", r"\basync_nats::"),
    ("metrics", r"\b(metrics|metrics_util|metrics_exporter_prometheus|gavel_telemetry::metrics)::"),
    # Instrumented is the body of a future, into which the compiler has put what the future calls.
    ("tracing and logs", r"\b(tracing(?!::instrument)|tracing_subscriber|tracing_opentelemetry|opentelemetry\w*)::"),
    ("Gavel's code, and what is inlined in it", r"\bgavel_|\bInstrumented<|\bPollFn<|\bAssertUnwindSafe<|\btask::core::Core<"),
    ("tokio", r"\b(tokio|mio|tokio_util)::"),
    # Go.
    ("garbage collection", r"^runtime\.(\(\*gc|gc|bgsweep|bgscavenge|scan|greyobject|mark|tryDefer|sweep|wb)"),
    ("allocation", r"^runtime\.(mallocgc|newobject|makeslice|growslice|concatstring|slicebytetostring|stringtoslice)"),
    ("scheduling of goroutines", r"^runtime\.(mcall|schedule|findRunnable|goready|ready|wakep|sysmon|selectgo|futex|netpoll"
                                 r"|park|gopark|mstart|chansend|chanrecv|stopm|startm|casgstatus|usleep|procyield|lock2|unlock2)"),
    ("storage", r"\bserver\.\(\*(fileStore|msgBlock|SubjectTree|psi)|\bstree\."),
    ("consumers", r"\bserver\.\(\*consumer\)"),
    ("streams", r"\bserver\.\(\*(stream|jsAccount|jetStream)\)"),
    ("protocol and routing of messages", r"\bserver\."),
)]
OTHER = "other"


def shares(stacks: dict[str, int]) -> list[tuple[str, float]]:
    """The share of each cost, the largest first. `stacks` has folded stacks with their CPU times."""
    counts: Counter[str] = Counter()
    for stack, time in stacks.items():
        counts[cost(stack)] += time
    total = sum(counts.values())
    return [(name, count / total) for name, count in counts.most_common()]


def cost(stack: str) -> str:
    """The cost of a stack whose frames are joined by semicolons, from the outermost to the innermost."""
    for frame in reversed(stack.split(";")):
        for name, pattern in COSTS:
            if pattern.search(frame):
                return name
    return OTHER
