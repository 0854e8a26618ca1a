//! The samples agree with each other: every program is in the manifest, every question in the list.

use std::{collections::BTreeSet, fs, path::Path};

use gavel_mock_convex::{SubmissionKind, questions};
use serde_json::Value;

fn samples() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples"))
}

fn manifest() -> Vec<Value> {
    serde_json::from_str(&fs::read_to_string(samples().join("demo.json")).unwrap()).unwrap()
}

#[test]
fn manifest_names_every_program_and_only_existing_questions() {
    let questions = questions::samples();
    let mut named = BTreeSet::new();
    for entry in manifest() {
        let text =
            |name: &str| entry[name].as_str().unwrap_or_else(|| panic!("{name} in {entry}")).to_owned();
        let kind = if text("kind") == "personalized" {
            SubmissionKind::Personalized
        } else {
            SubmissionKind::Standard
        };
        let question = questions.iter().find(|question| question.id() == text("question"));
        assert_eq!(question.map(gavel_mock_convex::Question::kind), Some(kind), "{entry}");
        assert!([50, 54, 62, 63, 71].contains(&entry["language"].as_u64().unwrap()), "{entry}");
        let failing = entry["expect"]["firstFailureIndex"].is_u64();
        assert_eq!(entry["expect"]["status"], if failing { "failed" } else { "passed" }, "{entry}");
        assert!(!text("title").is_empty());
        named.insert(text("file"));
    }
    let files = fs::read_dir(samples().join("programs")).unwrap();
    let files = files.map(|file| format!("programs/{}", file.unwrap().file_name().display())).collect();
    assert_eq!(named, files);
}

#[test]
fn sample_questions_cover_the_contract() {
    let list: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(samples().join("questions.json")).unwrap()).unwrap();
    let any = |wanted: &dyn Fn(&Value) -> bool| list.iter().any(wanted);
    assert!(questions::samples().len() >= 5);
    assert!(any(&|q| q["kind"] == "personalized"));
    assert!(any(&|q| q["question"]["timeLimitSeconds"].as_f64().is_some_and(|s| s.fract() != 0.0)));
    assert!(any(&|q| q["question"]["outputComparison"]["caseSensitive"] == false));
    assert!(any(&|q| q["testCases"].as_array().unwrap().iter().any(|case| case.get("name").is_none())));
    assert!(any(&|q| q["testCases"].as_array().unwrap().iter().any(|case| case["visibility"] == "hidden")));
}

#[test]
fn crlf_program_keeps_its_line_ends() {
    let source = fs::read_to_string(samples().join("programs/sum-crlf.py")).unwrap();
    assert!(source.contains("\r\n"));
}
