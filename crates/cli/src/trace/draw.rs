//! Draws a run as a waterfall: waiting in a light shade, work solid.

use std::fmt::Write as _;

use gavel_describe::run::{Run, Span};

use crate::event::Event;
use crate::output::escape_control;
use crate::terminal::wrap;
use crate::time::format_millis;

/// Width of a bar, and of a bar on a narrow terminal.
const BAR_WIDTH: u64 = 40;
const NARROW_BAR_WIDTH: u64 = 24;
/// Columns of a line with a wide bar and its description.
const WIDE_COLUMNS: usize = 132;
/// Columns before a bar.
const INDENT: usize = 13;

pub(super) fn draw(run: &Run, colours: bool, columns: Option<usize>) -> String {
    let is_narrow = columns.is_some_and(|columns| columns < WIDE_COLUMNS);
    let width = if is_narrow { NARROW_BAR_WIDTH } else { BAR_WIDTH };
    let mut text = String::new();
    let mut line =
        |content: String| writeln!(text, "{}", content.trim_end()).expect("a String takes everything");
    line(wrap(&head(run), 2, columns));
    line(String::new());
    for mark in run.marks() {
        let span = run.spans.iter().find(|span| span.after == mark.stage);
        let (bar, time, what) = match span {
            Some(span) => {
                (bar(span, run.total_ms, width, colours), format_millis(span.ms), span.what.as_str())
            }
            None => (String::new(), String::new(), ""),
        };
        let description = if is_narrow { "" } else { what };
        line(format!("{} {:<9} {bar} {time:>7} {description}", mark.at.time_of_day(), mark.stage));
        let below = Some(what).filter(|what| is_narrow && !what.is_empty()).map(str::to_owned);
        let summary = mark.event.map(Event::summary).filter(|summary| !summary.is_empty());
        for words in below.into_iter().chain(summary) {
            line(format!("{:INDENT$}{}", "", wrap(&words, INDENT, columns)));
        }
    }
    if !run.callbacks.is_empty() {
        line(String::new());
        line("callback   after     took  answer".to_owned());
    }
    for callback in &run.callbacks {
        let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), format_millis);
        line(format!(
            "{:<8} {:>7} {:>8}  {} to {}",
            callback.kind,
            time(callback.started_ms),
            time(callback.took_ms),
            callback.answer,
            escape_control(&callback.instance),
        ));
    }
    if let Some(judged) = run.event("judged").filter(|judged| !judged.tests.is_empty()) {
        line(String::new());
        line("test  outcome              CPU      wall     memory".to_owned());
        for (n, test) in judged.tests.iter().enumerate() {
            let time = |us: u64| format!("{}.{}ms", us / 1_000, us / 100 % 10);
            line(format!(
                "{:>4}  {:<16} {:>9} {:>9} {:>7} KiB",
                n + 1,
                test.outcome,
                time(test.cpu_us),
                time(test.wall_us),
                test.memory_bytes / 1_024
            ));
        }
    }
    line(String::new());
    line(wrap(&run.conclusion(), 2, columns));
    text
}

fn head(run: &Run) -> String {
    let Some(first) = run.events.first() else { return String::new() };
    let mut words = vec![format!("submission {}", escape_control(&first.id))];
    if run.generation > 1 {
        words.push(format!("generation {}", run.generation));
    }
    let known = run.events.iter().find(|event| event.question.is_some()).unwrap_or(first);
    words.extend(known.question.as_deref().map(|question| format!("question {}", escape_control(question))));
    words.extend(known.language.map(Event::language_name));
    words.extend(known.kind.clone());
    words.extend(first.request_id.as_deref().map(|id| format!("request {}", escape_control(id))));
    words.push(String::from(first.time));
    words.join(", ")
}

/// Draws a span as a part of the whole. It is at least one character wide.
fn bar(span: &Span, total_ms: u64, width: u64, colours: bool) -> String {
    let total = total_ms.max(1);
    let column = |ms: u64| (ms.min(total) * width / total).min(width);
    let from = column(span.from_ms).min(width - 1);
    let until = column(span.from_ms + span.ms).max(from + 1);
    let times = |sign: &str, count: u64| sign.repeat(usize::try_from(count).unwrap_or(0));
    let (sign, colour) = if span.is_work { ("█", 32) } else { ("░", 33) };
    let body = times(sign, until - from);
    let body = if colours { format!("\x1b[{colour}m{body}\x1b[0m") } else { body };
    format!("|{}{body}{}|", times(" ", from), times(" ", width - until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_has_fixed_width() {
        let span =
            |from_ms, ms| Span { after: String::new(), is_work: false, from_ms, ms, what: String::new() };
        for (from, ms, total) in [(0, 0, 0), (0, 10, 10), (999, 1, 1_000), (5_000, 9, 10), (3, 1, 1 << 40)] {
            let bar = bar(&span(from, ms), total, BAR_WIDTH, false);
            assert_eq!(bar.chars().count(), 42, "{bar}");
            assert!(bar.contains('░'), "{bar}");
        }
        assert_eq!(
            bar(&span(250, 500), 1_000, BAR_WIDTH, false),
            format!("|{:10}{}{:10}|", "", "░".repeat(20), "")
        );
    }
}
