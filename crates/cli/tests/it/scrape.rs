//! Reads `/metrics` as Prometheus does.

use std::collections::BTreeMap;

use gavel_testkit::{Process, TEST_TIMEOUT};

/// The metrics of one scrape.
pub(crate) struct Metrics {
    pub(crate) text: String,
    series: Vec<Series>,
}

struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// The address that a service listens on.
pub(crate) async fn address(process: &Process) -> String {
    let line =
        process.wait_log("its address", TEST_TIMEOUT, |line| line.contains("\"listening\"")).await.unwrap();
    line.field("/address").unwrap().as_str().unwrap().to_owned()
}

impl Metrics {
    /// Scrapes a service.
    pub(crate) async fn of(address: &str) -> Self {
        let answer = gavel_http::client()
            .build()
            .unwrap()
            .get(format!("http://{address}/metrics"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
        let text = answer.text().await.unwrap();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { series: lines.map(series).collect(), text }
    }

    /// The sum over the series of a metric with these labels, or `None` if there is no such series.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |series: &&Series| {
            let has_label =
                |(label, value): &(&str, &str)| series.labels.get(*label).is_some_and(|it| it == value);
            series.name == name && labels.iter().all(has_label)
        };
        let mut found = self.series.iter().filter(has).map(|series| series.value).peekable();
        found.peek().is_some().then_some(())?;
        Some(found.sum())
    }

    /// The names of all metrics.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
    }

    /// Each value of each label, except the bounds of buckets.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.series.iter().flat_map(|series| &series.labels);
        labels.map(|(label, value)| (label.as_str(), value.as_str())).filter(|(label, _)| *label != "le")
    }
}

/// A line such as `name{a="b",c="d"} 1`. Gavel's values contain no quotation mark.
fn series(line: &str) -> Series {
    let (key, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
    let labels = labels.strip_suffix('}').unwrap().split("\",").filter(|label| !label.is_empty());
    let label = |label: &str| {
        let (name, value) = label.split_once("=\"").unwrap();
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    };
    Series { name: name.to_owned(), labels: labels.map(label).collect(), value: value.parse().unwrap() }
}
