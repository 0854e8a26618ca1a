//! The dashboard and the alerts in `deploy/` use only metrics and labels that exist, and each alert is documented.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use gavel_telemetry::{Kind, Row, table};
use serde_json::Value;

/// Labels that Prometheus adds.
const PROMETHEUS_LABELS: [&str; 3] = ["job", "instance", "le"];

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Returns the expressions of all panels.
fn dashboard_expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/gavel.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// Returns the name and the expression of each alert.
fn alerts() -> Vec<(String, String)> {
    let rules = read("deploy/prometheus/gavel.rules.yml");
    let after = |key: &'static str| {
        let lines = rules.lines().filter_map(move |line| line.trim_start().strip_prefix(key));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (names, expressions) = (after("- alert: "), after("expr: "));
    assert_eq!(names.len(), expressions.len());
    names.into_iter().zip(expressions).collect()
}

/// Returns the problems of an expression.
fn problems(expression: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, _) in expression.match_indices("gavel_") {
        let rest = &expression[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let Some(row) = row(name) else {
            problems.push(format!("there is no metric {name}"));
            continue;
        };
        let matchers = rest.strip_prefix('{').map_or("", |rest| rest.split('}').next().unwrap());
        for matcher in matchers.split("\",").filter(|matcher| !matcher.is_empty()) {
            let label = matcher.split(['=', '!']).next().unwrap().trim();
            if !row.labels.contains(&label) && !PROMETHEUS_LABELS.contains(&label) {
                problems.push(format!("{name} has no label {label}"));
            }
        }
    }
    for group in expression.split("by (").skip(1) {
        for label in group.split(')').next().unwrap().split(',').map(str::trim) {
            if !PROMETHEUS_LABELS.contains(&label)
                && !table::ALL.iter().any(|row| row.labels.contains(&label))
            {
                problems.push(format!("no metric has a label {label}"));
            }
        }
    }
    problems
}

/// Returns the metric of a series. A histogram has no series with its own name, only with a suffix.
fn row(series: &str) -> Option<&'static Row> {
    table::ALL.iter().find(|row| match row.kind {
        Kind::Counter | Kind::Gauge => row.name == series,
        Kind::Histogram => series
            .strip_prefix(row.name)
            .is_some_and(|suffix| matches!(suffix, "_bucket" | "_sum" | "_count")),
    })
}

#[test]
fn dashboard_and_alerts_use_existing_metrics() {
    let of_alerts = alerts().into_iter().map(|(_, expression)| expression);
    let all: Vec<String> = dashboard_expressions().into_iter().chain(of_alerts).collect();
    assert!(all.len() > 30);
    for expression in all {
        assert!(expression.contains("gavel_"), "{expression}");
        assert_eq!(problems(&expression), Vec::<String>::new(), "{expression}");
    }
}

#[test]
fn unknown_metrics_and_labels_are_found() {
    for bad in [
        "rate(gavel_handled[5m])",
        "gavel_waiting_seconds > 1",
        "gavel_slots{outcome=\"dead\"}",
        "gavel_slots{service=\"judge\",outcom!~\"x\"}",
        "sum by (consumer, sage) (gavel_slots)",
    ] {
        assert!(!problems(bad).is_empty(), "{bad}");
    }
}

/// The programs that an operator has.
const PROGRAMS: [&str; 5] = ["gavel", "journalctl", "kubectl", "nats", "curl"];

/// Returns the cells of the row of each alert in the documentation: alert, meaning, command, and what to do then.
fn documented_alerts() -> Vec<Vec<String>> {
    let operations = read("docs/operations.md");
    let rows = operations.lines().filter(|line| line.starts_with("| `Gavel"));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect());
    cells.collect()
}

/// Returns the texts of all Rust files in a folder.
fn sources(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.extension() {
            Some(extension) if extension == "rs" => std::fs::read_to_string(&path).unwrap(),
            None if path.is_dir() => sources(&path),
            _ => String::new(),
        })
        .collect()
}

/// Whether the sources of a program, without its tests, contain a text.
fn is_in_sources(root: &Path, text: &str) -> bool {
    let packages = ["crates", "services"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let mut folders = packages.into_iter().flatten().map(|entry| entry.unwrap().path().join("src"));
    folders.any(|folder| folder.is_dir() && sources(&folder).contains(text))
}

/// Splits a command into words. Double quotes keep blanks.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('"').enumerate();
    parts
        .flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// Returns why an operator cannot run a command; `None` if there is no reason.
fn problem_of_command(command: &str) -> Option<String> {
    let words = words(command);
    if !PROGRAMS.contains(&words[0].as_str()) {
        return Some(format!("{} is not one of {PROGRAMS:?}", words[0]));
    }
    match words[0].as_str() {
        "gavel" => problem_of_gavel(&words[1..]),
        "journalctl" => problem_of_journalctl(&words[1..]),
        _ => None,
    }
}

/// Compares the subcommand and the options with the help of `gavel`, as its snapshots contain it.
fn problem_of_gavel(words: &[String]) -> Option<String> {
    let help = |names: &[&str]| {
        let name = [&["gavel"], names].concat().join("-");
        let path = format!("{}/../cli/tests/it/snapshots/{name}.snap", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).ok()
    };
    let names: Vec<&str> =
        words.iter().map(String::as_str).take_while(|word| !word.starts_with('-')).collect();
    let Some(help) = (1..=names.len()).rev().find_map(|count| help(&names[..count])) else {
        return Some(format!("gavel has no command {names:?}"));
    };
    if help.contains("<COMMAND>") {
        return Some(format!("gavel {} names no command", names.join(" ")));
    }
    let mut options = words.iter().filter(|word| word.starts_with("--"));
    let unknown =
        options.find(|option| ![" ", "\n"].iter().any(|end| help.contains(&format!("{option}{end}"))));
    unknown.map(|option| format!("gavel {} has no option {option}", names.join(" ")))
}

/// Compares the unit with those in `deploy/systemd`, and the text to find with the sources.
fn problem_of_journalctl(words: &[String]) -> Option<String> {
    let after = |option: &str| words.iter().skip_while(|word| *word != option).nth(1);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let unit = after("-u")?;
    if unit != "gavel-*" && !root.join(format!("deploy/systemd/{unit}.service")).exists() {
        return Some(format!("there is no unit {unit}"));
    }
    let text = after("-g")?;
    (!is_in_sources(&root, text)).then(|| format!("no program logs {text:?}"))
}

/// Operators find out what an alert means, what to run, and what to do then.
#[test]
fn every_alert_is_documented_with_a_command() {
    let mut documented = Vec::new();
    for row in documented_alerts() {
        let [alert, meaning, run, then] = &row[..] else { panic!("a row has four cells: {row:?}") };
        assert!(meaning.ends_with('.') && then.ends_with('.'), "{row:?}");
        let command = run.strip_prefix('`').and_then(|run| run.strip_suffix('`'));
        let command = command.unwrap_or_else(|| panic!("{alert}: {run:?} is not a command in backticks"));
        assert_eq!(problem_of_command(command), None, "{alert}: {command}");
        // Commands within the text are as real as the first one.
        for command in then.split('`').skip(1).step_by(2).filter(|code| code.starts_with("gavel ")) {
            assert_eq!(problem_of_command(command), None, "{alert}: {command}");
        }
        documented.push(alert.trim_matches('`').to_owned());
    }
    let names: Vec<_> = alerts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(documented, names, "in the order of the rules");
}

#[test]
fn commands_that_do_not_exist_are_found() {
    for bad in [
        "gavle status",
        "gavel statistics",
        "gavel dead undo ID",
        "gavel status --stage judge",
        "gavel dead list --no-follow",
        "journalctl -u gavel-judges -g \"the handler panicked\"",
        "journalctl -u gavel-judge -g the-engine-is-tired",
    ] {
        assert!(problem_of_command(bad).is_some(), "{bad}");
    }
    for good in [
        "gavel dead list --since 1h",
        "gavel trace ID",
        "journalctl -u gavel-judge -n 20",
        "curl -s http://a/b",
    ] {
        assert_eq!(problem_of_command(good), None, "{good}");
    }
}
