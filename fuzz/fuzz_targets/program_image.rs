//! Reads any bytes after the ELF magic as a compiled program: the result is its memory size or an error.
#![no_main]

use std::io::{Seek, SeekFrom, Write};

use libfuzzer_sys::fuzz_target;

thread_local! {
    static FILE: std::fs::File = tempfile::tempfile().expect("a temporary file");
}

fuzz_target!(|program: &[u8]| {
    FILE.with(|mut file| {
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).expect("cannot truncate the file");
        file.write_all(b"\x7fELF\x02\x01")
            .and_then(|()| file.write_all(program))
            .expect("cannot write the file");
        let _ = gavel_sandbox::fuzzing::image_bytes(file);
    });
});
