//! Compares any output with any expected text: the comparison never panics, accepts a text for itself, and a more
//! lenient rule accepts whatever a stricter one accepts.
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
    for (strict, rule) in rules.enumerate() {
        assert!(
            rule.accepts(input.expected.as_bytes(), input.expected),
            "{rule:?} rejects a text for itself"
        );
        for lenient in (0..8).filter(|lenient| lenient & strict == strict) {
            assert!(
                !accepted[strict] || accepted[lenient],
                "{rule:?} accepts what a more lenient rule rejects"
            );
        }
    }
});
