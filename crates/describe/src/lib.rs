//! What people are shown: events, histories and the state of the pipeline in words, the same for all commands and for the
//! console.
//!
//! - [`event::Event`] is an event as one flat object; [`filter::Filter`] and [`expression::Expression`] select events.
//! - [`run::Run`] is the history of one generation of a submission, and what it waits for; [`history::runs`] returns all of them.
//! - [`status::Status`] is the state of the pipeline; [`finding::Finding`]s are the results of checks, each problem with its
//!   remedy.
//! - [`dead_letter`] describes dead letters, and [`explanation::Explanation`] failures of NATS.

pub mod dead_letter;
pub mod event;
pub mod explanation;
pub mod expression;
pub mod filter;
pub mod finding;
pub mod history;
pub mod run;
pub mod status;
pub mod text;
pub mod time;
pub mod tracker;
mod wait;
