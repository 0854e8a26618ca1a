//! Any bytes behind the magic ones, as a program that a compiler left: its memory is told, or it is no program.
#![no_main]

use std::io::{Seek, SeekFrom, Write};

use libfuzzer_sys::fuzz_target;

thread_local! {
    static FILE: std::fs::File = tempfile::tempfile().expect("a temporary file");
}

fuzz_target!(|program: &[u8]| {
    FILE.with(|mut file| {
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).expect("the file is emptied");
        file.write_all(b"\x7fELF\x02\x01")
            .and_then(|()| file.write_all(program))
            .expect("the file is written");
        let _ = gavel_sandbox::fuzzing::image_bytes(file);
    });
});
