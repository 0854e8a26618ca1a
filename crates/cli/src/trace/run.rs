//! One run of a submission: its events, and the times between them as waiting or as work.

use std::time::{Duration, SystemTime};

use gavel_inspect::Timeline;
use serde::Serialize;

use super::wait::Wait;
use crate::event::{Call, Event, Moment, Reading};
use crate::time::{format_duration, millis};

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
    /// What was told: `running` or `result`.
    pub(super) call: String,
    /// By whom.
    pub(super) instance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begun_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) took_ms: Option<u64>,
    /// The HTTP status, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    /// What came of it, in words.
    pub(super) answer: String,
}

/// A moment of a run.
pub(super) struct Mark<'a> {
    pub(super) stage: &'a str,
    pub(super) at: Moment,
    /// Nothing where another event tells of it.
    pub(super) event: Option<&'a Event>,
}

/// What can be there before a submission is ready.
const BEFORE_READY: [&str; 2] = ["rejudged", "queued"];

impl Run {
    pub(super) fn of(timeline: &Timeline, now: SystemTime) -> Self {
        let reading = Reading::default();
        let mut events: Vec<Event> = timeline.events.iter().map(|message| reading.read(message)).collect();
        let mut last = None;
        for event in &mut events {
            event.gap_ms = last.map(|last| millis(event.time.since(last)));
            last = Some(event.time);
        }
        let sequences = timeline.events.iter().map(|message| message.sequence).collect();
        let mut run = Self {
            generation: timeline.generation.number(),
            total_ms: 0,
            spans: Vec::new(),
            callbacks: Vec::new(),
            waits_for: None,
            events,
            sequences,
        };
        run.callbacks = run.callbacks(timeline);
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
        self.events.first().map_or(0, |first| millis(at.since(first.time)))
    }

    /// The moments that the waterfall is made of: the events, and, from what the verdict tells, when it was ready.
    pub(super) fn marks(&self) -> Vec<Mark<'_>> {
        let events = self.events.iter();
        let mut marks: Vec<Mark<'_>> =
            events.map(|event| Mark { stage: &event.stage, at: event.time, event: Some(event) }).collect();
        if self.event("ready").is_none()
            && let Some(at) = self.event("judged").and_then(|judged| judged.ready_at)
        {
            let place = marks.iter().position(|mark| !BEFORE_READY.contains(&mark.stage));
            marks.insert(place.unwrap_or(marks.len()), Mark { stage: "ready", at, event: None });
        }
        marks
    }

    fn spans(&self, end: Moment) -> Vec<Span> {
        const STAGES: [&str; 4] = ["queued", "ready", "running", "judged"];
        let marks = self.marks();
        // Where one is there twice, the first one counts.
        let first = |stage: &str| marks.iter().find(|mark| mark.stage == stage);
        let mut stages: Vec<_> = STAGES.into_iter().filter_map(first).collect();
        stages.extend(first("reported"));
        let mut spans = Vec::new();
        for (n, mark) in stages.iter().enumerate().filter(|(_, mark)| mark.stage != "reported") {
            let next = stages.get(n + 1);
            spans.push(Span {
                after: mark.stage.to_owned(),
                is_work: mark.stage == "running",
                from_ms: self.offset(mark.at),
                ms: millis(next.map_or(end, |next| next.at).since(mark.at)),
                what: self.between(mark.stage, next.map(|next| next.stage)),
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
        let count = format!("{count} test{}", if count == 1 { "" } else { "s" });
        let again = judged.attempts.filter(|&attempts| attempts > 1);
        let again = again
            .map_or_else(String::new, |count| format!("; by delivery {count}, those before came to nothing"));
        // With tests side by side, as on Judge0, they can take longer than the whole.
        match (tests.len(), all.checked_sub(wall)) {
            (0, _) => format!("working, no test was run{again}"),
            (_, Some(rest)) => format!(
                "working: {} in {count}, {} compiling and the rest{again}",
                format_duration(wall),
                format_duration(rest)
            ),
            (_, None) => {
                format!("working: {count}, {} in all, side by side{again}", format_duration(wall))
            }
        }
    }

    /// The calls that the report tells of; and, where it tells of none, what the claim on the first call does.
    fn callbacks(&self, timeline: &Timeline) -> Vec<Callback> {
        let reported = self.event("reported");
        let told = reported.map_or(&[][..], |reported| &reported.calls);
        let of_report = |call: &Call| Callback {
            call: call.of.clone(),
            instance: reported.and_then(|reported| reported.instance.clone()).unwrap_or_default(),
            begun_ms: Some(self.offset(call.at)),
            took_ms: Some(call.took_ms),
            status: call.status,
            answer: call.answer(),
        };
        let claim = timeline.claim.as_ref().map(|claim| {
            let begun = Moment(claim.at);
            let ended = timeline.answered_at.filter(|_| claim.is_running).map(Moment);
            Callback {
                call: if claim.is_running { "running" } else { "result" }.to_owned(),
                instance: claim.instance.clone(),
                begun_ms: Some(self.offset(begun)),
                took_ms: ended.map(|ended| millis(ended.since(begun))),
                status: None,
                answer: if ended.is_some() { "over" } else { "its end is not known" }.to_owned(),
            }
        });
        let claim = claim.filter(|claim| told.iter().all(|call| call.of != claim.call));
        claim.into_iter().chain(told.iter().map(of_report)).collect()
    }
}
