//! Benchmarks of the pipeline: `scripts/bench accept|line|scale|backlog|memory|cost|all`. Each prints its bars with what was
//! measured. What is compared was measured in the same run, so that ratios hold on any machine.
//!
//! All use instant or waiting engines: `scripts/bench sandbox` and `scripts/bench languages` measure programs.

#![expect(clippy::unwrap_used, reason = "a bench reports to the terminal only")]

mod pipeline {
    pub(crate) mod accept;
    pub(crate) mod backlog;
    pub(crate) mod cost;
    pub(crate) mod line;
    pub(crate) mod load;
    pub(crate) mod memory;
    pub(crate) mod report;
    pub(crate) mod scale;
    pub(crate) mod services;
}

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::pipeline::report::Report;
use crate::pipeline::{accept, backlog, cost, line, memory, scale, services};

// As in the fetcher and the reporter.
#[global_allocator]
static ALLOCATOR: gavel_runtime::MiMalloc = gavel_runtime::MiMalloc;

/// Measure the pipeline.
#[derive(Parser)]
#[command(name = "scripts/bench")]
pub(crate) struct Options {
    bench: Bench,
    /// Print JSON lines instead of tables
    #[arg(long)]
    json: bool,
    /// Rounds of accept, line and backlog; the median of each result counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Submissions of each measurement of accept, line, backlog and cost
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    submissions: u32,
    /// Seconds of each measurement of scale and cost, and of the latencies of line
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Queued submissions of the longest backlog
    #[arg(long, default_value_t = 1_000_000)]
    messages: u32,
    /// Most judge processes of scale
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=64))]
    judges: u32,
    /// Cargo passes it to each benchmark
    #[arg(long = "bench", hide = true)]
    _cargo: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// POST to 202, compared with bare publishes to NATS
    Accept,
    /// POST to the result callback, with an engine that answers at once
    Line,
    /// Throughput by the number of judge processes, with an engine that waits 100 ms
    Scale,
    /// Accepting and draining with many submissions queued
    Backlog,
    /// Memory of each process idle and at full load, and its CPU time per submission
    Memory,
    /// CPU time of each process per submission, at half of the rate of line
    Cost,
    /// All of them
    All,
}

fn main() -> ExitCode {
    // This executable is also the init of its own sandbox, and the judges of its benches.
    gavel_sandbox::init::enter_if_asked();
    if let Some(exit) = services::run_judge_if_asked() {
        return exit;
    }
    let options = Options::parse();
    let mut report = Report::new(options.json);
    let wants = |bench| options.bench == bench || options.bench == Bench::All;
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        if wants(Bench::Accept) {
            accept::run(&options, &mut report).await;
        }
        if wants(Bench::Line) {
            line::run(&options, &mut report).await;
        }
        if wants(Bench::Scale) {
            scale::run(&options, &mut report).await;
        }
        if wants(Bench::Backlog) {
            backlog::run(&options, &mut report).await;
        }
        if wants(Bench::Memory) {
            memory::run(&options, &mut report).await;
        }
        if wants(Bench::Cost) {
            cost::run(&options, &mut report).await;
        }
    });
    ExitCode::SUCCESS
}
