//! One run of a submission: its events, and the time between them as waiting or work.

#![expect(
    missing_docs,
    reason = "the fields are those of the JSON output, with names that speak for themselves"
)]

use std::time::{Duration, SystemTime};

use gavel_inspect::{Claim, Timeline};
use serde::Serialize;

use crate::event::{Attempt, Event, Reading, Timestamp};
use crate::text::escape_control;
use crate::time::{format_duration, format_millis, millis};

/// A run; serialized for `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub generation: u32,
    pub events: Vec<Event>,
    pub spans: Vec<Span>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callbacks: Vec<Callback>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "waitsFor")]
    pub wait: Option<Wait>,
    /// From the first event to the last one, or to now if it has not ended.
    pub total_ms: u64,
    /// The right to the first callback.
    #[serde(skip)]
    pub claim: Option<Claim>,
    /// The stream sequences of the events.
    #[serde(skip)]
    pub sequences: Vec<Option<u64>>,
}

/// What a submission waits for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// The service whose turn it is.
    pub stage: &'static str,
    /// How many submissions are ahead of it in the queue; `None` if it is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u64>,
    /// The estimated wait, at the rate of the last minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about_ms: Option<u64>,
    /// The same as a sentence.
    pub sentence: String,
}

/// The time between two events.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// The event that it starts with.
    pub after: String,
    pub is_work: bool,
    pub from_ms: u64,
    pub ms: u64,
    /// What happened in that time.
    pub what: String,
}

/// A callback attempt, as far as it is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Callback {
    /// `running` or `result`.
    #[serde(rename = "call")]
    pub kind: String,
    /// The instance that made it.
    pub instance: String,
    #[serde(skip_serializing_if = "Option::is_none", rename = "begunMs")]
    pub started_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// The HTTP status, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The HTTP status or the problem, as text.
    pub answer: String,
}

/// A point of the waterfall.
pub struct Mark<'a> {
    pub stage: &'a str,
    pub at: Timestamp,
    /// `None` if the point is known from another event only.
    pub event: Option<&'a Event>,
}

/// The events that come before `ready`.
const BEFORE_READY: [&str; 2] = ["rejudged", "queued"];

impl Run {
    #[must_use]
    pub fn of(timeline: &Timeline, now: SystemTime) -> Self {
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
            wait: None,
            events,
            claim: timeline.claim.clone(),
            sequences,
        };
        run.callbacks = run.callbacks(timeline);
        let end = if run.has_ended() { last.unwrap_or_default() } else { Timestamp(now) };
        run.total_ms = run.offset(end);
        run.spans = run.spans(end);
        run
    }

    /// Returns the event of a stage.
    #[must_use]
    pub fn event(&self, stage: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.stage == stage)
    }

    /// Returns the stream sequence of the event of a stage.
    #[must_use]
    pub fn sequence(&self, stage: &str) -> Option<u64> {
        let at = self.events.iter().position(|event| event.stage == stage)?;
        self.sequences[at]
    }

    /// Whether it has ended: Convex has the verdict, or reporting it failed permanently.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let reporting_failed =
            |event: &Event| event.stage == "dead" && event.failed_stage.as_deref() == Some("reporter");
        self.event("reported").is_some()
            || (self.event("judged").is_some() && self.events.iter().any(reporting_failed))
    }

    /// Says how it ended, or what it waits for, in a sentence.
    #[must_use]
    pub fn conclusion(&self) -> String {
        match (&self.wait, self.has_ended()) {
            (Some(wait), _) => format!("Not ended: {}.", escape_control(&wait.sentence)),
            (None, true) => format!("Ended {} after it was queued.", format_millis(self.total_ms)),
            (None, false) => "Continued as a later generation.".to_owned(),
        }
    }

    /// Returns the time since the first event, in milliseconds.
    fn offset(&self, at: Timestamp) -> u64 {
        self.events.first().map_or(0, |first| millis(at.since(first.time)))
    }

    /// Returns the points of the waterfall: the events, and the time it was ready, which later events hold.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark<'_>> {
        let events = self.events.iter();
        let mut marks: Vec<Mark<'_>> =
            events.map(|event| Mark { stage: &event.stage, at: event.time, event: Some(event) }).collect();
        if self.event("ready").is_none()
            && let Some(at) = self.events.iter().find_map(|event| event.ready_at)
        {
            let place = marks.iter().position(|mark| !BEFORE_READY.contains(&mark.stage));
            marks.insert(place.unwrap_or(marks.len()), Mark { stage: "ready", at, event: None });
        }
        marks
    }

    fn spans(&self, end: Timestamp) -> Vec<Span> {
        const STAGES: [&str; 5] = ["queued", "ready", "waiting", "running", "judged"];
        let marks = self.marks();
        // Of several events of one stage, the first counts.
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
            ("queued", Some("running")) => "waiting for test cases and for a judge",
            ("queued", Some("judged")) => "waiting for test cases; verdict without a run",
            ("queued", _) => "waiting for test cases",
            ("ready", Some("waiting")) => "waiting for a judge",
            ("ready" | "waiting", _) => {
                return self.handed_on().unwrap_or_else(|| "waiting for a judge".to_owned());
            }
            ("running", Some(_)) => return self.work(),
            ("running", None) => "running",
            _ => "waiting for Convex to accept the verdict",
        }
        .to_owned()
    }

    /// Describes the wait for a judge that serves the language, if a judge that lacks it has handed the submission on.
    fn handed_on(&self) -> Option<String> {
        let event = self.events.iter().find(|event| event.handed_on_by.is_some())?;
        let judge = escape_control(event.handed_on_by.as_deref().unwrap_or_default());
        let language = Event::language_with_id(event.language.unwrap_or_default());
        Some(format!("handed on by {judge}, waiting for a judge that serves {language}"))
    }

    /// Describes the work of the judge.
    fn work(&self) -> String {
        let Some(judged) = self.event("judged") else { return String::new() };
        let (running, tests) = (self.event("running"), &judged.tests);
        let all = running.map_or(Duration::ZERO, |running| judged.time.since(running.time));
        let wall = Duration::from_micros(tests.iter().map(|test| test.wall_us).sum());
        let count = tests.len();
        let count = format!("{count} test{}", if count == 1 { "" } else { "s" });
        let again = judged.attempts.filter(|&attempts| attempts > 1);
        let again = again.map_or_else(String::new, |count| {
            format!("; in delivery {count}, after deliveries without a verdict")
        });
        // Tests that run in parallel, as on Judge0, can take longer in total than the span.
        match (tests.len(), all.checked_sub(wall)) {
            (0, _) => format!("working: no test was run{again}"),
            (_, Some(rest)) => format!(
                "working: {} for {count}, {} for compiling and the rest{again}",
                format_duration(wall),
                format_duration(rest)
            ),
            (_, None) => {
                format!("working: {count} in parallel, {} in total{again}", format_duration(wall))
            }
        }
    }

    /// Returns the callback attempts of all instances. For a callback without one, the reporter's claim is used.
    fn callbacks(&self, timeline: &Timeline) -> Vec<Callback> {
        let reported = self.event("reported");
        let instance = reported.and_then(|reported| reported.instance.clone()).unwrap_or_default();
        let of_report = reported.map_or(&[][..], |reported| &reported.callback_attempts);
        let mut attempts: Vec<(Attempt, &str)> =
            of_report.iter().map(|attempt| (attempt.clone(), instance.as_str())).collect();
        for stored in &timeline.attempts {
            let stored = (Attempt::from(stored.attempt.clone()), stored.instance.as_str());
            if !attempts.contains(&stored) {
                attempts.push(stored);
            }
        }
        attempts.sort_by_key(|(attempt, _)| attempt.at);
        let of_attempt = |(attempt, instance): &(Attempt, &str)| Callback {
            kind: attempt.kind.clone(),
            instance: (*instance).to_owned(),
            started_ms: Some(self.offset(attempt.at)),
            took_ms: Some(attempt.took_ms),
            status: attempt.status,
            answer: attempt.answer(),
        };
        let claim = timeline.claim.as_ref().map(|claim| {
            let started = Timestamp(claim.at);
            let ended = timeline.answered_at.filter(|_| claim.is_running).map(Timestamp);
            Callback {
                kind: if claim.is_running { "running" } else { "result" }.to_owned(),
                instance: claim.instance.clone(),
                started_ms: Some(self.offset(started)),
                took_ms: ended.map(|ended| millis(ended.since(started))),
                status: None,
                answer: if ended.is_some() { "completed" } else { "outcome unknown" }.to_owned(),
            }
        });
        let claim = claim.filter(|claim| attempts.iter().all(|(attempt, _)| attempt.kind != claim.kind));
        claim.into_iter().chain(attempts.iter().map(of_attempt)).collect()
    }
}
