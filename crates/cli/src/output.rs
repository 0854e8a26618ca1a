//! What commands print.

use std::io::Write as _;

pub(crate) use gavel_describe::text::{escape_control, escape_lines, first_line, json_line};

/// Prints a line on standard output. Ignores errors: if the reader has closed the pipe, the exit code still counts.
pub(crate) fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
