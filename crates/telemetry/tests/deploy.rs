//! The dashboard and the alerts in `deploy/` name only metrics and labels that exist.

#![expect(clippy::unwrap_used, reason = "a test")]

use gavel_telemetry::{Kind, Row, table};
use serde_json::Value;

/// Labels that Prometheus adds.
const ADDED: [&str; 3] = ["job", "instance", "le"];

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The expressions of all panels.
fn expressions_of_dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/gavel.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// Name and expression of each alert.
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

/// What is wrong with an expression.
fn faults(expression: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, _) in expression.match_indices("gavel_") {
        let rest = &expression[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let Some(row) = row(name) else {
            faults.push(format!("there is no metric {name}"));
            continue;
        };
        let matchers = rest.strip_prefix('{').map_or("", |rest| rest.split('}').next().unwrap());
        for matcher in matchers.split("\",").filter(|matcher| !matcher.is_empty()) {
            let label = matcher.split(['=', '!']).next().unwrap().trim();
            if !row.labels.contains(&label) && !ADDED.contains(&label) {
                faults.push(format!("{name} has no label {label}"));
            }
        }
    }
    for group in expression.split("by (").skip(1) {
        for label in group.split(')').next().unwrap().split(',').map(str::trim) {
            if !ADDED.contains(&label) && !table::ALL.iter().any(|row| row.labels.contains(&label)) {
                faults.push(format!("nothing has a label {label}"));
            }
        }
    }
    faults
}

/// The metric that a series belongs to; a histogram has none under its own name.
fn row(series: &str) -> Option<&'static Row> {
    table::ALL.iter().find(|row| match row.kind {
        Kind::Counter | Kind::Gauge => row.name == series,
        Kind::Histogram => {
            series.strip_prefix(row.name).is_some_and(|it| matches!(it, "_bucket" | "_sum" | "_count"))
        }
    })
}

#[test]
fn dashboard_and_alerts_name_only_what_exists() {
    let of_alerts = alerts().into_iter().map(|(_, expression)| expression);
    let all: Vec<String> = expressions_of_dashboard().into_iter().chain(of_alerts).collect();
    assert!(all.len() > 30);
    for expression in all {
        assert!(expression.contains("gavel_"), "{expression}");
        assert_eq!(faults(&expression), Vec::<String>::new(), "{expression}");
    }
}

#[test]
fn what_does_not_exist_is_found() {
    for bad in [
        "rate(gavel_handled[5m])",
        "gavel_waiting_seconds > 1",
        "gavel_slots{outcome=\"dead\"}",
        "gavel_slots{service=\"judge\",outcom!~\"x\"}",
        "sum by (consumer, sage) (gavel_slots)",
    ] {
        assert!(!faults(bad).is_empty(), "{bad}");
    }
}

/// Whoever is woken up is told what to do.
#[test]
fn each_alert_is_explained() {
    let operations = read("docs/operations.md");
    for (name, _) in alerts() {
        assert!(operations.contains(&format!("| `{name}` |")), "{name}");
    }
}
