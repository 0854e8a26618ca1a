//! The programs: each works until its own clock shows a share of the CPU time limit.

use gavel_domain::{Comparison, LanguageId, Limits, Question, TestCase, Visibility};

/// A line that the programs of the mode `write` print a thousand times.
const LINE_BYTES: usize = 1000;
/// The lines of a large output, and of a large input.
const LINES: usize = 1000;

/// A language with a program that knows some modes.
struct Template {
    name: &'static str,
    language: LanguageId,
    source: &'static str,
    modes: &'static [&'static str],
    limit_seconds: f64,
    /// How many programs stay below the limit, and the largest share of it that they use. What a runtime does after the
    /// program has read its clock for the last time comes on top.
    below: usize,
    highest: f64,
    /// How many programs exceed the limit.
    above: usize,
}

const TEMPLATES: [Template; 5] = [
    Template {
        name: "C",
        language: LanguageId(50),
        source: include_str!("work.c"),
        modes: &["compute", "fork", "sleep", "write", "read"],
        limit_seconds: 0.25,
        below: 8,
        highest: 0.97,
        above: 6,
    },
    Template {
        name: "C++",
        language: LanguageId(54),
        source: include_str!("work.cpp"),
        modes: &["compute", "threads", "write", "read"],
        limit_seconds: 0.25,
        below: 8,
        highest: 0.97,
        above: 6,
    },
    Template {
        name: "Python",
        language: LanguageId(71),
        source: include_str!("work.py"),
        modes: &["compute", "fork", "sleep", "write", "read"],
        limit_seconds: 0.25,
        below: 8,
        highest: 0.97,
        above: 5,
    },
    Template {
        name: "Java",
        language: LanguageId(62),
        source: include_str!("Main.java"),
        modes: &["compute", "threads", "read"],
        limit_seconds: 1.2,
        below: 2,
        highest: 0.93,
        above: 1,
    },
    Template {
        name: "JavaScript",
        language: LanguageId(63),
        source: include_str!("work.js"),
        modes: &["compute", "sleep", "write", "read"],
        limit_seconds: 0.6,
        below: 4,
        highest: 0.92,
        above: 2,
    },
];

/// A program with the question that it answers.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) language: LanguageId,
    pub(crate) source: &'static str,
    pub(crate) question: Question,
    /// Whether it stays below the limit.
    pub(crate) is_right: bool,
}

/// Thirty programs that use 0.80 to 0.97 of their limits, and twenty that use 1.05 to 1.5.
pub(crate) fn all() -> Vec<Program> {
    let mut programs = Vec::new();
    for template in &TEMPLATES {
        let below = shares(0.80, template.highest, template.below);
        let above = shares(1.05, 1.5, template.above);
        for (index, share) in below.chain(above).enumerate() {
            programs.push(program(template, template.modes[index % template.modes.len()], share));
        }
    }
    programs
}

/// Evenly spaced numbers.
fn shares(from: f64, to: f64, count: usize) -> impl Iterator<Item = f64> {
    #[expect(clippy::cast_precision_loss, reason = "a few programs")]
    let at = move |index: usize| index as f64 / (count - 1).max(1) as f64;
    (0..count).map(move |index| from + (to - from) * at(index))
}

fn program(template: &Template, mode: &str, share: f64) -> Program {
    let microseconds = template.limit_seconds * share * 1e6;
    let (x, spaces) = ("x".repeat(LINE_BYTES - 1), " ".repeat(LINE_BYTES - 1));
    let printed = if mode == "write" { format!("{x}\n").repeat(LINES) } else { String::new() };
    let filler = if mode == "read" { format!("{spaces}\n").repeat(LINES) } else { String::new() };
    let test = TestCase {
        visibility: Visibility::Hidden,
        stdin: format!("{mode} {microseconds:.0}\n{filler}"),
        expected_stdout: format!("{printed}done\n"),
    };
    Program {
        name: format!("{} {mode} {share:.2}", template.name),
        language: template.language,
        source: template.source,
        question: Question {
            limits: Limits::new(template.limit_seconds, 256.0).unwrap(),
            comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
            tests: vec![test],
        },
        is_right: share < 1.0,
    }
}
