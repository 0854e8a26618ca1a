//! The dashboard and the alerts in `deploy/` use only metrics and labels that exist.

#![expect(clippy::unwrap_used, reason = "a test")]

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

/// Operators find out what to do about an alert.
#[test]
fn every_alert_is_documented() {
    let operations = read("docs/operations.md");
    for (name, _) in alerts() {
        assert!(operations.contains(&format!("| `{name}` |")), "{name}");
    }
}
