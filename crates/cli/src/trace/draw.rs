//! A run as a waterfall: waiting is light, work is solid.

use std::fmt::Write as _;

use super::run::{Run, Span};
use crate::event::Event;
use crate::output::escape_control;
use crate::terminal::wrap;
use crate::time::format_millis;

/// The bars' width, where there is room, and where there is not.
const WIDTH: u64 = 40;
const NARROW: u64 = 24;
/// What a line with a wide bar and its words takes.
const ROOM: usize = 132;
/// What stands before a bar.
const INDENT: usize = 13;

pub(super) fn draw(run: &Run, colours: bool, columns: Option<usize>) -> String {
    let is_narrow = columns.is_some_and(|columns| columns < ROOM);
    let width = if is_narrow { NARROW } else { WIDTH };
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{}", words.trim_end()).expect("a String takes everything");
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
        let beside = if is_narrow { "" } else { what };
        line(format!("{} {:<9} {bar} {time:>7} {beside}", mark.at.clock(), mark.stage));
        let below = Some(what).filter(|what| is_narrow && !what.is_empty()).map(str::to_owned);
        let says = mark.event.map(Event::says).filter(|says| !says.is_empty());
        for words in below.into_iter().chain(says) {
            line(format!("{:INDENT$}{}", "", wrap(&words, INDENT, columns)));
        }
    }
    if !run.callbacks.is_empty() {
        line(String::new());
        line("call       after     took  answer".to_owned());
    }
    for callback in &run.callbacks {
        let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), format_millis);
        line(format!(
            "{:<8} {:>7} {:>8}  {} to {}",
            callback.call,
            time(callback.begun_ms),
            time(callback.took_ms),
            callback.answer,
            escape_control(&callback.instance),
        ));
    }
    if let Some(judged) = run.event("judged").filter(|judged| !judged.tests.is_empty()) {
        line(String::new());
        line("test  ending               CPU      wall     memory".to_owned());
        for (n, test) in judged.tests.iter().enumerate() {
            let time = |us: u64| format!("{}.{}ms", us / 1_000, us / 100 % 10);
            line(format!(
                "{:>4}  {:<16} {:>9} {:>9} {:>7} KiB",
                n + 1,
                test.ending,
                time(test.cpu_us),
                time(test.wall_us),
                test.memory_bytes / 1_024
            ));
        }
    }
    line(String::new());
    let end = match (&run.waits_for, run.is_over()) {
        (Some(wait), _) => format!("It waits: {}.", escape_control(&wait.sentence)),
        (None, true) => format!("It has ended, {} after it was queued.", format_millis(run.total_ms)),
        (None, false) => "It was taken up again in a later run.".to_owned(),
    };
    line(wrap(&end, 2, columns));
    text
}

fn head(run: &Run) -> String {
    let Some(first) = run.events.first() else { return String::new() };
    let mut words = vec![format!("submission {}", escape_control(&first.id))];
    if run.generation > 1 {
        words.push(format!("run {}", run.generation));
    }
    let known = run.events.iter().find(|event| event.question.is_some()).unwrap_or(first);
    words.extend(known.question.as_deref().map(|question| format!("question {}", escape_control(question))));
    words.extend(known.language.map(Event::language_name));
    words.extend(known.kind.clone());
    words.extend(first.request_id.as_deref().map(|id| format!("request {}", escape_control(id))));
    words.push(String::from(first.time));
    words.join(", ")
}

/// Where the span is in the whole. One that is too short to be seen is seen all the same.
fn bar(span: &Span, total_ms: u64, width: u64, colours: bool) -> String {
    let total = total_ms.max(1);
    let place = |ms: u64| (ms.min(total) * width / total).min(width);
    let from = place(span.from_ms).min(width - 1);
    let until = place(span.from_ms + span.ms).max(from + 1);
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
    fn a_bar_stays_in_its_frame() {
        let span =
            |from_ms, ms| Span { after: String::new(), is_work: false, from_ms, ms, what: String::new() };
        for (from, ms, total) in [(0, 0, 0), (0, 10, 10), (999, 1, 1_000), (5_000, 9, 10), (3, 1, 1 << 40)] {
            let bar = bar(&span(from, ms), total, WIDTH, false);
            assert_eq!(bar.chars().count(), 42, "{bar}");
            assert!(bar.contains('░'), "{bar}");
        }
        assert_eq!(
            bar(&span(250, 500), 1_000, WIDTH, false),
            format!("|{:10}{}{:10}|", "", "░".repeat(20), "")
        );
    }
}
