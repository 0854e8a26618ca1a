//! Decodes any bytes as each event: decoding fails, or the event survives encoding and decoding again.
#![no_main]

use gavel_domain::event::{DeadLetter, Expired, Judged, Queued, Ready, Rejudged, Reported, Running, Waiting};
use gavel_proto::WireEvent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    round_trips::<Queued>(payload);
    round_trips::<Ready>(payload);
    round_trips::<Waiting>(payload);
    round_trips::<Expired>(payload);
    round_trips::<Running>(payload);
    round_trips::<Judged>(payload);
    round_trips::<Reported>(payload);
    round_trips::<DeadLetter>(payload);
    round_trips::<Rejudged>(payload);
    if let Ok(question) = gavel_proto::decode_bundle(payload) {
        let same = gavel_proto::decode_bundle(&gavel_proto::encode_bundle(&question));
        assert!(same.is_ok_and(|same| same == question), "encoding changes a bundle");
    }
    let _ = gavel_proto::decode_claim(payload);
    let _ = gavel_proto::decode_heartbeat(payload);
});

fn round_trips<E: WireEvent + PartialEq>(payload: &[u8]) {
    if let Ok(event) = E::decode(payload) {
        assert!(E::decode(&event.encode()).is_ok_and(|same| same == event), "encoding changes {}", E::NAME);
    }
}
