//! Compilations that do whatever a compiler could be made to do: a compile error or a program, at once, and never a fault
//! of the sandbox, on every tier. The next compilation finds a clean slot.

use std::time::Instant;

use crate::artefacts::{Expected, SCRIPT, check, table_sandbox};
use crate::support::tiers;

/// Scripts in the place of a compiler, each with what must become of its artefact.
const COMPILATIONS: [(&str, Expected); 34] = [
    // Other kinds of files.
    ("mkfifo main", Expected::NoProgram),
    ("mkdir main", Expected::NoProgram),
    ("mkdir -p main/main/main", Expected::NoProgram),
    ("ln -s /bin/cat main", Expected::NoProgram),
    ("ln -s main main", Expected::NoProgram),
    ("ln -s /no/such/file main", Expected::NoProgram),
    ("ln -s /dev/zero main", Expected::NoProgram),
    ("ln -s /proc/1/mem main", Expected::NoProgram),
    ("ln -s /proc/self/fd/0 main", Expected::NoProgram),
    ("python3 -c 'import socket as s; s.socket(s.AF_UNIX).bind(\"main\")'", Expected::NoProgram),
    ("mknod main c 1 5", Expected::CompileError),
    ("", Expected::NoProgram),
    (": > main", Expected::NoProgram),
    ("cp /bin/cat x; ln x main", Expected::Prints),
    // Modes, sizes and numbers.
    ("cp /bin/cat main; chmod 000 main", Expected::Prints),
    ("cp /bin/cat main; chmod 000 .", Expected::Prints),
    ("cp /bin/cat main; chmod 7777 main", Expected::Prints),
    ("truncate -s 64M main", Expected::NoProgram),
    ("truncate -s 100M main", Expected::CompileError),
    ("cp /bin/cat main; truncate -s 60M main", Expected::Prints),
    ("seq 100000 | xargs touch", Expected::CompileError),
    ("cp /bin/cat main; seq 10000 | xargs touch", Expected::Prints),
    ("for i in {1..200}; do mkdir d; cd d; done; cp /bin/cat /box/work/main", Expected::Prints),
    ("cat /dev/zero > rest; cp /bin/cat main", Expected::Anything),
    // The directory itself.
    ("cd /; rm -rf /box/work", Expected::Anything),
    ("cd /; rm -rf /box/work; ln -s / /box/work", Expected::Anything),
    ("cd /; rm -rf /box/work; mkfifo /box/work", Expected::Anything),
    // Processes that go on, and the end of the compiler.
    ("cp /bin/cat main; (while :; do cp /bin/false main; done) & sleep 0.05", Expected::Anything),
    ("cp /bin/cat main; setsid sleep 1000 3<>main & :", Expected::Prints),
    ("cp /bin/cat main; kill -SEGV $$", Expected::CompileError),
    ("cp /bin/cat main; kill -KILL $$", Expected::CompileError),
    ("cp /bin/cat main; kill -KILL -1", Expected::Anything),
    // Any bytes as messages.
    ("head -c 100000 /dev/urandom; exit 1", Expected::CompileError),
    ("printf 'a\\0b\\377\\n' >&2; exit 1", Expected::CompileError),
];

#[tokio::test]
async fn compilation_of_any_kind_is_never_a_fault() {
    let mut wrong = Vec::new();
    for tier in tiers() {
        let sandbox = table_sandbox(1, tier).await;
        for (script, expected) in COMPILATIONS {
            let started = Instant::now();
            // A comment, so that it is not the source that was compiled before.
            let next = format!("cp /bin/cat main # after {script}");
            for (script, expected) in [(script, expected), (&next, Expected::Prints)] {
                let mut workspace = sandbox.workspace().await.unwrap();
                if let Err(found) = check(&mut workspace, SCRIPT, script.as_bytes(), expected).await {
                    wrong.push(format!("{tier}, {script}, {expected:?}: {found}"));
                }
            }
            println!("{tier}, {script}: {:?}", started.elapsed());
        }
        sandbox.shutdown().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
