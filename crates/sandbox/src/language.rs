//! The table of languages: how to compile and run each, and which Judge0 ids it serves. The judge reads it; the sandbox
//! only runs the commands that it names.

mod entry;
#[cfg(test)]
mod memory_reports;
mod table;
mod version;

pub(crate) use entry::{FrontEnd, Language, Speedup, is_program_path};
pub use entry::{InstalledLanguage, UnservedLanguage};
pub use table::{Languages, TableError};
pub(crate) use version::is_older;
pub use version::{ParseVersionRuleError, VersionRule};
