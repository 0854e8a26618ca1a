//! The messages that version 0.1.0 stored are still decoded, and nothing that they contain is lost.
//!
//! `golden/v0.1.0.txt` was written by that version: each line is a subject, the payload in hexadecimal, and the headers. Services
//! of two versions run side by side during an upgrade, so that each must read what the other writes.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;

use gavel_proto::{
    Event, WireEvent as _, decode_attempt, decode_bundle, decode_claim, decode_heartbeat, encode_attempt,
    encode_bundle, encode_claim, encode_heartbeat,
};

const MESSAGES: &str = include_str!("golden/v0.1.0.txt");

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Decodes a message and encodes it again.
fn recoded(subject: &str, payload: &[u8]) -> Vec<u8> {
    let first_two: Vec<_> = subject.split('.').take(2).collect();
    match first_two.as_slice() {
        ["submission", _] => encoded(&Event::decode(subject, payload).unwrap()),
        ["callback", "claimed"] => encode_claim(&decode_claim(payload).unwrap()).to_vec(),
        ["callback", "attempted"] => {
            let (attempt, instance) = decode_attempt(payload).unwrap();
            encode_attempt(&attempt, &instance).to_vec()
        }
        // A single piece: the number of pieces, then the bundle.
        ["bundle", _] => {
            let (pieces, bundle) = payload.split_at(4);
            [pieces, &encode_bundle(&decode_bundle(bundle).unwrap())].concat()
        }
        ["presence", _] => encode_heartbeat(&decode_heartbeat(payload).unwrap()).to_vec(),
        _ => panic!("{subject} has no decoder here"),
    }
}

fn encoded(event: &Event) -> Vec<u8> {
    match event {
        Event::Queued(event) => event.encode(),
        Event::Ready(event) => event.encode(),
        Event::Waiting(event) => event.encode(),
        Event::Expired(event) => event.encode(),
        Event::Running(event) => event.encode(),
        Event::Judged(event) => event.encode(),
        Event::Reported(event) => event.encode(),
        Event::Rejudged(event) => event.encode(),
        Event::DeadLetter(event) => event.encode(),
    }
    .to_vec()
}

#[test]
fn messages_of_version_0_1_0_lose_nothing() {
    let mut kinds = BTreeSet::new();
    for line in MESSAGES.lines() {
        let mut words = line.split(' ');
        let (subject, payload) = (words.next().unwrap(), unhex(words.next().unwrap()));
        assert_eq!(recoded(subject, &payload), payload, "{subject}");
        let kind = subject.split('.').take(if subject.starts_with("bundle") { 1 } else { 2 });
        kinds.insert(kind.collect::<Vec<_>>().join("."));
    }
    let expected = [
        "bundle",
        "callback.attempted",
        "callback.claimed",
        "presence.judge",
        "submission.dead",
        "submission.expired",
        "submission.judged",
        "submission.queued",
        "submission.ready",
        "submission.rejudged",
        "submission.reported",
        "submission.running",
        "submission.waiting",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}
