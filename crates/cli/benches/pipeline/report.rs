//! Results and their bars, as a table or as JSON lines.

use serde_json::json;

/// What a result must be.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn is_met_by(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(limit) => measured >= limit,
            Self::AtMost(limit) => measured <= limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(limit) => format!("≥ {limit}"),
            Self::AtMost(limit) => format!("≤ {limit}"),
        }
    }
}

/// The measurements of one metric, one per round.
struct Metric {
    name: String,
    values: Vec<f64>,
    /// Measured in the same round; empty without a baseline.
    baselines: Vec<f64>,
    /// On the ratio if there is a baseline, otherwise on the value.
    bar: Option<Bar>,
}

/// Collects the measurements of all rounds of a bench, and prints their medians.
pub(crate) struct Report {
    is_json: bool,
    metrics: Vec<Metric>,
}

impl Report {
    pub(crate) fn new(is_json: bool) -> Self {
        Self { is_json, metrics: Vec::new() }
    }

    /// Adds the measurement of a round.
    pub(crate) fn value(&mut self, name: &str, value: f64, bar: impl Into<Option<Bar>>) {
        self.add(name, value, None, bar.into());
    }

    /// Adds the measurement of a round with its baseline. The bar is on the ratio.
    pub(crate) fn ratio(&mut self, name: &str, value: f64, baseline: f64, bar: impl Into<Option<Bar>>) {
        self.add(name, value, Some(baseline), bar.into());
    }

    fn add(&mut self, name: &str, value: f64, baseline: Option<f64>, bar: Option<Bar>) {
        let index = self.metrics.iter().position(|metric| metric.name == name).unwrap_or_else(|| {
            let name = name.to_owned();
            self.metrics.push(Metric { name, values: Vec::new(), baselines: Vec::new(), bar });
            self.metrics.len() - 1
        });
        self.metrics[index].values.push(value);
        self.metrics[index].baselines.extend(baseline);
    }

    /// Prints what was added since the last bench.
    pub(crate) fn finish(&mut self, bench: &str, baseline: &str) {
        if !self.is_json {
            println!("\n{bench:<28}{:>12}{baseline:>14}{:>9}  {:>9}", "result", "ratio", "bar");
        }
        for metric in std::mem::take(&mut self.metrics) {
            metric.print(bench, self.is_json);
        }
    }
}

impl Metric {
    fn print(&self, bench: &str, is_json: bool) {
        let value = median(self.values.clone());
        let has_baseline = !self.baselines.is_empty();
        let baseline = has_baseline.then(|| median(self.baselines.clone()));
        let pairs = self.values.iter().zip(&self.baselines);
        let ratio = has_baseline.then(|| median(pairs.map(|(value, baseline)| value / baseline).collect()));
        let is_met = self.bar.map(|bar| bar.is_met_by(ratio.unwrap_or(value)));
        let bar = self.bar.map(Bar::text);
        if is_json {
            let line = json!({
                "bench": bench, "metric": self.name, "value": value, "baseline": baseline, "ratio": ratio,
                "bar": bar, "met": is_met, "rounds": self.values.len(),
            });
            return println!("{line}");
        }
        let text = |number: Option<f64>| number.map_or_else(String::new, |number| format!("{number:.2}"));
        let met = is_met.map_or("", |is_met| if is_met { "met" } else { "not met" });
        let (baseline, ratio, bar) = (text(baseline), text(ratio), bar.unwrap_or_default());
        println!("{:<28}{value:>12.2}{baseline:>14}{ratio:>9}  {bar:>9}  {met}", self.name);
    }
}

/// The middle of the values, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}
