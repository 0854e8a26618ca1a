//! Counters, gauges and histograms: a name and its labels, fixed when it is compiled.

use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, SharedString, with_recorder};

/// The label that every metric has first: the service that a series belongs to.
pub const SERVICE: &str = "service";

/// Where series come from, for filters that nobody has set.
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often which values came.
    Histogram,
}

/// A metric as the table tells it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name; it ends in its unit.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in one line.
    pub help: &'static str,
}

/// Something that is counted.
#[derive(Clone, Copy, Debug)]
pub struct Counter<const N: usize>(Name<N>);

/// Something that goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<const N: usize>(Name<N>);

/// Times, in seconds.
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

    /// Counts one more.
    pub fn add(&self, values: [impl Into<SharedString>; N]) {
        self.of(values).increment(1);
    }

    /// Shows the series from now on, though nothing was counted: who alerts on a rise must see where it began.
    pub fn show(&self, values: [impl Into<SharedString>; N]) {
        self.of(values).increment(0);
    }

    /// One of its series, for whoever counts often.
    pub fn of(&self, values: [impl Into<SharedString>; N]) -> metrics::Counter {
        let key = self.0.key(values);
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
    }
}

impl<const N: usize> Gauge<N> {
    pub(crate) const fn new(name: &'static str, labels: [&'static str; N]) -> Self {
        Self(Name { name, labels })
    }

    /// Sets it. What is not known is NaN.
    pub fn set(&self, values: [impl Into<SharedString>; N], value: f64) {
        self.of(values).set(value);
    }

    /// Adds to it, or takes away.
    pub fn add(&self, values: [impl Into<SharedString>; N], change: f64) {
        self.of(values).increment(change);
    }

    /// One of its series, for whoever sets it often.
    pub fn of(&self, values: [impl Into<SharedString>; N]) -> metrics::Gauge {
        let key = self.0.key(values);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
    }
}

impl<const N: usize> Histogram<N> {
    pub(crate) const fn new(name: &'static str, labels: [&'static str; N]) -> Self {
        Self(Name { name, labels })
    }

    /// Takes note of a time.
    pub fn note(&self, values: [impl Into<SharedString>; N], took: Duration) {
        self.of(values).record(took);
    }

    /// Shows the series from now on, though nothing was noted.
    pub fn show(&self, values: [impl Into<SharedString>; N]) {
        drop(self.of(values));
    }

    /// One of its series, for whoever takes note often.
    pub fn of(&self, values: [impl Into<SharedString>; N]) -> metrics::Histogram {
        let key = self.0.key(values);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
    }
}
