//! Settings from environment variables, read once, with all problems reported together.
//!
//! Each crate that has settings of its own reads them from an [`Env`]: a name, a default, bounds and a line of help
//! at each place. The `Env` remembers every setting for `--help` and every problem for [`Env::finish`].

mod env;
mod shared;

pub use env::{ConfigError, Env, Setting};
pub use shared::request_timeout;
