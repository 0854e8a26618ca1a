//! Draws the status as tables.

use std::fmt::Write as _;

use gavel_describe::status::{Dependency, SERVICES, Status};

use crate::output::escape_control;
use crate::time::format_millis;

/// A stream that is at least this full is highlighted, in percent.
const NEARLY_FULL_PERCENT: u64 = 80;

pub(super) fn draw(status: &Status, colours: bool) -> String {
    let mut text = String::new();
    let mut line =
        |content: String| writeln!(text, "{}", content.trim_end()).expect("a String takes everything");
    let alarm = |words: &str| {
        if colours { format!("\x1b[31m{words}\x1b[0m") } else { words.to_owned() }
    };
    line("stage             waiting  in progress  redelivered   oldest  per second  slots".to_owned());
    for stage in &status.stages {
        let oldest = stage.oldest_ms.map_or_else(|| "-".to_owned(), format_millis);
        let slots = format!("{}/{} busy", stage.busy, stage.slots);
        let slots = if stage.slots == 0 && stage.waiting > 0 { alarm(&slots) } else { slots };
        line(format!(
            "{:<16} {:>8} {:>12} {:>12} {oldest:>8} {:>11.1}  {slots}",
            stage.stage, stage.waiting, stage.in_progress, stage.redelivered, stage.per_second
        ));
    }
    line(String::new());
    line("stream            messages        MiB   full".to_owned());
    for stream in &status.streams {
        let percent = stream.max_bytes.map(|max| stream.bytes.saturating_mul(100) / max.max(1));
        let full = percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent}%"));
        let full = if percent >= Some(NEARLY_FULL_PERCENT) { alarm(&full) } else { full };
        let (whole, tenth) = (stream.bytes >> 20, ((stream.bytes & 0xf_ffff) * 10) >> 20);
        line(format!("{:<16} {:>9} {:>8}.{tenth}   {full:>4}", stream.stream, stream.messages, whole));
    }
    line(String::new());
    let names = status.instances.iter().map(|instance| escape_control(&instance.name).chars().count());
    let width = names.max().unwrap_or(0).max("instance".len());
    line(format!("{:<width$}  service  version            up   heard  busy/slots  languages", "instance"));
    for instance in &status.instances {
        let engines = match instance.languages {
            0 => String::new(),
            count => format!("  {count} by {}", escape_control(&instance.engines.join(", "))),
        };
        line(format!(
            "{:<width$}  {:<8} {:<14} {:>6} {:>7}  {:<10}{engines}",
            escape_control(&instance.name),
            escape_control(&instance.service),
            escape_control(&instance.version),
            format_millis(instance.up_ms),
            format_millis(instance.heard_ms),
            format!("{}/{}", instance.busy, instance.slots),
        ));
    }
    for instance in &status.instances {
        for problem in &instance.problems {
            line(alarm(&format!(
                "{} is not ready: {}",
                escape_control(&instance.name),
                escape_control(problem)
            )));
        }
    }
    for service in SERVICES {
        if !status.instances.iter().any(|instance| instance.service == service) {
            line(alarm(&format!("no {service} is running")));
        }
    }
    if !status.dependencies.is_empty() {
        line(String::new());
        line(format!("dependency  {:<width$}  state", "seen by"));
    }
    for dependency in &status.dependencies {
        let state = state(dependency);
        let state = if dependency.problem.is_some() { alarm(&state) } else { state };
        line(format!(
            "{:<11} {:<width$}  {state}",
            escape_control(&dependency.name),
            escape_control(&dependency.seen_by)
        ));
    }
    for waiting in &status.languages {
        let line_of = |state: &str| {
            format!(
                "waiting for {}: {}, the oldest for {}, {state}",
                waiting.name,
                waiting.submissions,
                format_millis(waiting.oldest_ms)
            )
        };
        line(if waiting.served_by.is_empty() {
            alarm(&line_of("no running judge serves it"))
        } else {
            line_of(&format!("served by {}", escape_control(&waiting.served_by.join(", "))))
        });
    }
    line(String::new());
    match status.dead_letters.iter().map(|entry| entry.count).sum::<u64>() {
        0 => line("no dead letters in the last 24 hours".to_owned()),
        count => line(format!("{count} dead letters in the last 24 hours; \"gavel dead list\" shows them")),
    }
    for entry in &status.dead_letters {
        line(format!("{:>7}  at the {:<9} {}", entry.count, escape_control(&entry.stage), entry.cause));
    }
    if status.clock_skew_ms.abs() > 1_000 {
        line(alarm(&format!("the clocks of NATS and this machine differ by {} ms", status.clock_skew_ms)));
    }
    text
}

fn state(dependency: &Dependency) -> String {
    match (&dependency.problem, dependency.for_ms) {
        (None, None) => "not called yet".to_owned(),
        (None, Some(ms)) => format!("ok, for {}", format_millis(ms)),
        (Some(problem), ms) => {
            format!("{}, for {}", escape_control(problem), format_millis(ms.unwrap_or_default()))
        }
    }
}
