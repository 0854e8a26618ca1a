//! Counters, gauges and histograms, with names and labels fixed at compile time.

use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, SharedString, with_recorder};

/// The first label of every metric: the service that the series belongs to.
pub const SERVICE: &str = "service";

/// The origin of all series. Recorders can filter by it; the one in the runtime crate does not.
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that only increases.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// A distribution of durations.
    Histogram,
}

/// A row of the table: one metric.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name; it ends in the unit.
    pub name: &'static str,
    /// The kind.
    pub kind: Kind,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    /// The help text, one line.
    pub help: &'static str,
}

/// A counter with `N` labels.
#[derive(Clone, Copy, Debug)]
pub struct Counter<const N: usize>(Name<N>);

/// A gauge with `N` labels.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<const N: usize>(Name<N>);

/// A histogram of durations, in seconds, with `N` labels.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<const N: usize>(Name<N>);

#[derive(Clone, Copy, Debug)]
struct Name<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
}

impl<const N: usize> Name<N> {
    fn key(&self, values: [impl Into<SharedString>; N]) -> Key {
        let labels = self.labels.into_iter().zip(values).map(|(name, value)| Label::new(name, value));
        Key::from_parts(self.name, labels.collect::<Vec<_>>())
    }
}

impl<const N: usize> Counter<N> {
    pub(crate) const fn new(name: &'static str, labels: [&'static str; N]) -> Self {
        Self(Name { name, labels })
    }

    /// Adds one to the series with these label values.
    pub fn add(&self, values: [impl Into<SharedString>; N]) {
        self.series(values).increment(1);
    }

    /// Creates the series with the value 0, so that an alert on its increase sees the first one.
    pub fn init(&self, values: [impl Into<SharedString>; N]) {
        self.series(values).increment(0);
    }

    /// Returns one series, for code that counts often.
    pub fn series(&self, values: [impl Into<SharedString>; N]) -> metrics::Counter {
        let key = self.0.key(values);
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
    }
}

impl<const N: usize> Gauge<N> {
    pub(crate) const fn new(name: &'static str, labels: [&'static str; N]) -> Self {
        Self(Name { name, labels })
    }

    /// Sets the series with these label values. NaN stands for an unknown value.
    pub fn set(&self, values: [impl Into<SharedString>; N], value: f64) {
        self.series(values).set(value);
    }

    /// Adds `change`, which may be negative, to the series with these label values.
    pub fn add(&self, values: [impl Into<SharedString>; N], change: f64) {
        self.series(values).increment(change);
    }

    /// Returns one series, for code that sets it often.
    pub fn series(&self, values: [impl Into<SharedString>; N]) -> metrics::Gauge {
        let key = self.0.key(values);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
    }
}

impl<const N: usize> Histogram<N> {
    pub(crate) const fn new(name: &'static str, labels: [&'static str; N]) -> Self {
        Self(Name { name, labels })
    }

    /// Records a duration in the series with these label values.
    pub fn record(&self, values: [impl Into<SharedString>; N], duration: Duration) {
        self.series(values).record(duration);
    }

    /// Creates the series without a value.
    pub fn init(&self, values: [impl Into<SharedString>; N]) {
        drop(self.series(values));
    }

    /// Returns one series, for code that records often.
    pub fn series(&self, values: [impl Into<SharedString>; N]) -> metrics::Histogram {
        let key = self.0.key(values);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
    }
}
