//! What a program wrote, compared: it never panics, a text is accepted for itself, and no switch that forgives more
//! refuses what was accepted without it.
#![no_main]

use gavel_domain::Comparison;
use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    actual: &'a [u8],
    expected: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let rules = (0..8_u8).map(|bits| Comparison {
        trim_outputs: bits & 1 != 0,
        normalize_whitespace: bits & 2 != 0,
        case_sensitive: bits & 4 == 0,
    });
    let accepted: Vec<bool> = rules.clone().map(|rule| rule.accepts(input.actual, input.expected)).collect();
    for (tight, rule) in rules.enumerate() {
        assert!(
            rule.accepts(input.expected.as_bytes(), input.expected),
            "{rule:?} refuses a text for itself"
        );
        for loose in (0..8).filter(|loose| loose & tight == tight) {
            assert!(!accepted[tight] || accepted[loose], "{rule:?} accepts what a looser rule refuses");
        }
    }
});
