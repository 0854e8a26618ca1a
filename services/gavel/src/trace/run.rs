//! One run of a submission: its events, and the times between them as waiting or as work.

use std::time::{Duration, SystemTime};

use gavel_bus::look::Life;
use serde::Serialize;

use super::wait::Wait;
use crate::event::{Event, Moment, Reading};

/// A run, as `--json` has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    pub(super) generation: u32,
    pub(super) events: Vec<Event>,
    pub(super) spans: Vec<Span>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) callbacks: Vec<Callback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waits_for: Option<Wait>,
    /// From its first event to its last, or to now.
    pub(super) total_ms: u64,
    /// The places of the events in their streams.
    #[serde(skip)]
    pub(super) sequences: Vec<Option<u64>>,
}

/// A time between two events.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    /// The event that it begins with.
    pub(super) after: String,
    pub(super) is_work: bool,
    pub(super) from_ms: u64,
    pub(super) ms: u64,
    /// What it went by with.
    pub(super) what: String,
}

/// What is known of a call to Convex.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Callback {
    pub(super) call: &'static str,
    pub(super) instance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begun_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_ms: Option<u64>,
    /// How many times the event behind it was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempts: Option<u64>,
}

impl Run {
    pub(super) fn of(life: &Life, now: SystemTime) -> Self {
        let reading = Reading::default();
        let mut events: Vec<Event> = life.events.iter().map(|message| reading.read(message)).collect();
        let mut last = None;
        for event in &mut events {
            event.gap_ms = last.map(|last| ms(event.time.since(last)));
            last = Some(event.time);
        }
        let sequences = life.events.iter().map(|message| message.sequence).collect();
        let mut run = Self {
            generation: life.generation,
            total_ms: 0,
            spans: Vec::new(),
            callbacks: Vec::new(),
            waits_for: None,
            events,
            sequences,
        };
        run.callbacks = run.callbacks(life);
        let end = if run.is_over() { last.unwrap_or_default() } else { Moment(now) };
        run.total_ms = run.offset(end);
        run.spans = run.spans(end);
        run
    }

    /// The event of a stage.
    pub(super) fn event(&self, stage: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.stage == stage)
    }

    /// The place of a stage's event in its stream.
    pub(super) fn sequence(&self, stage: &str) -> Option<u64> {
        let at = self.events.iter().position(|event| event.stage == stage)?;
        self.sequences[at]
    }

    /// Whether nothing more will happen to it: Convex has the verdict, or reporting it was given up.
    pub(super) fn is_over(&self) -> bool {
        let died = |event: &Event| event.stage == "dead" && event.gave_up.as_deref() == Some("reporter");
        self.event("reported").is_some() || (self.event("judged").is_some() && self.events.iter().any(died))
    }

    /// Since the first event, in milliseconds.
    fn offset(&self, at: Moment) -> u64 {
        self.events.first().map_or(0, |first| ms(at.since(first.time)))
    }

    fn spans(&self, end: Moment) -> Vec<Span> {
        const STAGES: [&str; 5] = ["queued", "ready", "running", "judged", "reported"];
        let stages: Vec<&Event> = STAGES.iter().filter_map(|stage| self.event(stage)).collect();
        let mut spans = Vec::new();
        for (n, event) in stages.iter().enumerate() {
            let next = stages.get(n + 1);
            if event.stage == "reported" {
                break;
            }
            let until = next.map_or(end, |next| next.time);
            let what = self.between(&event.stage, next.map(|next| next.stage.as_str()));
            spans.push(Span {
                after: event.stage.clone(),
                is_work: event.stage == "running",
                from_ms: self.offset(event.time),
                ms: ms(until.since(event.time)),
                what,
            });
        }
        spans
    }

    fn between(&self, stage: &str, next: Option<&str>) -> String {
        match (stage, next) {
            ("queued", Some("running")) => "waiting, for test cases and for a judge",
            ("queued", Some("judged")) => "waiting, for test cases; the verdict came without a run",
            ("queued", _) => "waiting, for test cases",
            ("ready", _) => "waiting, for a judge",
            ("running", Some(_)) => return self.work(),
            ("running", None) => "running",
            _ => "waiting, for Convex to take the verdict",
        }
        .to_owned()
    }

    /// What a judge's time went by with.
    fn work(&self) -> String {
        let Some(judged) = self.event("judged") else { return String::new() };
        let (begun, tests) = (self.event("running"), &judged.tests);
        let all = begun.map_or(Duration::ZERO, |begun| judged.time.since(begun.time));
        let wall = Duration::from_micros(tests.iter().map(|test| test.wall_us).sum());
        let count = tests.len();
        // With tests side by side, as on Judge0, they can take longer than the whole.
        match (count, all.checked_sub(wall)) {
            (0, _) => "working, no test was run".to_owned(),
            (_, Some(rest)) => format!(
                "working: {} in {count} tests, {} compiling and the rest",
                crate::span::show(wall),
                crate::span::show(rest)
            ),
            (_, None) => format!("working: {count} tests, {} in all, side by side", crate::span::show(wall)),
        }
    }

    fn callbacks(&self, life: &Life) -> Vec<Callback> {
        let claim = life.claim.as_ref().map(|claim| Callback {
            call: if claim.is_running { "running" } else { "result" },
            instance: claim.instance.clone(),
            begun_ms: Some(self.offset(Moment(claim.at))),
            ended_ms: life.answered_at.filter(|_| claim.is_running).map(|at| self.offset(Moment(at))),
            attempts: None,
        });
        let result = self.event("reported").map(|reported| Callback {
            call: "result",
            instance: reported.instance.clone().unwrap_or_default(),
            begun_ms: None,
            ended_ms: Some(self.offset(reported.time)),
            attempts: reported.attempts,
        });
        match (claim, result) {
            // One call, of which the claim tells the beginning and the report the end.
            (Some(claim), Some(result)) if claim.call == "result" => {
                vec![Callback { begun_ms: claim.begun_ms, ..result }]
            }
            (claim, result) => claim.into_iter().chain(result).collect(),
        }
    }
}

pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
