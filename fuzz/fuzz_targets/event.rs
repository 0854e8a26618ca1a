//! Any bytes as an event: refused, or the same after being written and read once more.
#![no_main]

use gavel_domain::event::{DeadLetter, Expired, Judged, Queued, Ready, Rejudged, Reported, Running};
use gavel_proto::WireEvent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    steady::<Queued>(payload);
    steady::<Ready>(payload);
    steady::<Expired>(payload);
    steady::<Running>(payload);
    steady::<Judged>(payload);
    steady::<Reported>(payload);
    steady::<DeadLetter>(payload);
    steady::<Rejudged>(payload);
    if let Ok(question) = gavel_proto::decode_bundle(payload) {
        let same = gavel_proto::decode_bundle(&gavel_proto::encode_bundle(&question));
        assert!(same.is_ok_and(|same| same == question), "a bundle changes on its way");
    }
    let _ = gavel_proto::decode_claim(payload);
    let _ = gavel_proto::decode_heartbeat(payload);
});

fn steady<E: WireEvent + PartialEq>(payload: &[u8]) {
    if let Ok(event) = E::decode(payload) {
        assert!(E::decode(&event.encode()).is_ok_and(|same| same == event), "{} changes on its way", E::NAME);
    }
}
