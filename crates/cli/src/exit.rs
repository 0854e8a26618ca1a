//! How the commands that look at the line end, for scripts: the codes of `sysexits.h` where it has one.

/// The submission has failed; of `doctor`, something is to be mended.
pub(crate) const FAILED: u8 = 1;
/// The submission has ended in an error.
pub(crate) const ERROR: u8 = 2;
/// No end in time.
pub(crate) const TIMEOUT: u8 = 3;
/// What was given cannot be read (`EX_DATAERR`).
pub(crate) const DATA: u8 = 65;
/// There is no such submission, or no such file (`EX_NOINPUT`).
pub(crate) const NOT_FOUND: u8 = 66;
/// A file cannot be written (`EX_CANTCREAT`).
pub(crate) const CANNOT_WRITE: u8 = 73;
/// NATS cannot be reached, or has no line on it (`EX_UNAVAILABLE`).
pub(crate) const UNAVAILABLE: u8 = 69;
/// The credentials are wrong, or do not suffice (`EX_NOPERM`).
pub(crate) const DENIED: u8 = 77;
