//! What is submitted, and the verdict that each must get: quick programs, whose verdicts a loaded machine cannot
//! change.

use gavel_mock_convex::{Question, SubmissionKind};
use serde_json::{Value, json};

const C: u32 = 50;
const PYTHON: u32 = 71;

/// A program.
#[derive(Debug)]
pub struct Program {
    /// What it is called in messages.
    pub name: &'static str,
    /// How often it is picked, among the others.
    weight: u32,
    /// A Judge0 language id.
    pub language: u32,
    /// The question that it answers.
    pub question: &'static str,
    /// Its source.
    pub source: &'static str,
    /// What it comes to.
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    Passed,
    WrongAtHidden,
    Exited,
    Endless,
    CompileError,
    NoQuestion,
    /// What it must print is changed meanwhile.
    Corrected,
    Poison,
}

/// The question whose author changes what it expects …
pub(crate) const CORRECTED: &str = "corrected";
/// … to one of these: what its program prints, and something else.
pub(crate) const CORRECTIONS: [&str; 2] = ["1\n", "2\n"];
/// The place of the program whose judges are killed.
pub(crate) const POISON: usize = 8;
/// How its process is called once it runs.
pub(crate) const POISON_NAME: &str = "poison";
/// After how many deliveries it is given up. Nothing else is delivered so often, however much goes wrong.
pub(crate) const MAX_DELIVERIES: u64 = 10;

/// All of them.
pub const PROGRAMS: [Program; 9] = [
    Program {
        name: "right, in Python",
        weight: 40,
        language: PYTHON,
        question: "sum",
        source: "a, b = map(int, input().split())\nprint(a + b)\n",
        verdict: Verdict::Passed,
    },
    Program {
        name: "right, in C",
        weight: 12,
        language: C,
        question: "sum",
        source: "#include <stdio.h>\nint main(void){long a,b;scanf(\"%ld %ld\",&a,&b);printf(\"%ld\\n\",a+b);}",
        verdict: Verdict::Passed,
    },
    Program {
        name: "wrong on the hidden test",
        weight: 16,
        language: PYTHON,
        question: "sum",
        source: "print(3)",
        verdict: Verdict::WrongAtHidden,
    },
    Program {
        name: "ends with an error",
        weight: 16,
        language: PYTHON,
        question: "sum",
        source: "import sys\nsys.stderr.write('oops')\nsys.exit(3)",
        verdict: Verdict::Exited,
    },
    Program {
        name: "endless",
        weight: 6,
        language: PYTHON,
        question: "quick",
        source: "while True: pass",
        verdict: Verdict::Endless,
    },
    Program {
        name: "does not compile",
        weight: 6,
        language: C,
        question: "sum",
        source: "int main(void){ return x; }",
        verdict: Verdict::CompileError,
    },
    Program {
        name: "of a question that is not there",
        weight: 4,
        language: PYTHON,
        question: "nosuchquestion",
        source: "print(3)",
        verdict: Verdict::NoQuestion,
    },
    Program {
        name: "of a question that is corrected",
        weight: 8,
        language: PYTHON,
        question: CORRECTED,
        source: "print(1)",
        verdict: Verdict::Corrected,
    },
    Program {
        name: "a poison",
        weight: 0,
        language: C,
        question: "once",
        // Long enough to be found at work, whatever else is being done to its judge.
        source: "#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\n\
                 int main(int n,char**v){strcpy(v[0],\"poison\");sleep(12);puts(\"1\");}",
        verdict: Verdict::Poison,
    },
];

/// The sum of all weights.
pub(crate) fn total_weight() -> u32 {
    PROGRAMS.iter().map(|program| program.weight).sum()
}

/// The program at a place among the weights.
pub(crate) fn pick(mut place: u32) -> usize {
    let found = PROGRAMS.iter().position(|program| {
        let is_it = place < program.weight;
        place = place.saturating_sub(program.weight);
        is_it
    });
    found.unwrap_or_default()
}

/// The questions, of either kind.
#[must_use]
pub fn questions() -> Vec<Question> {
    let both = |make: fn(SubmissionKind) -> Question| {
        [make(SubmissionKind::Standard), make(SubmissionKind::Personalized)]
    };
    let sum = |kind| {
        // Far more than a program needs here: what is to be met is never the wall clock of a loaded machine.
        let question = Question::build(kind, "sum").time_limit_seconds(20.0).memory_limit_mb(64.0);
        question.public("1 2\n", "3\n").hidden("20 22\n", "42\n").public("5 5\n", "10\n").done()
    };
    let quick = |kind| Question::build(kind, "quick").time_limit_seconds(0.2).public("", "").done();
    let once = |kind| Question::build(kind, "once").time_limit_seconds(20.0).public("", "1\n").done();
    [both(sum), both(quick), both(once), corrected(CORRECTIONS[1])].concat()
}

/// The question that is corrected, as it expects this.
pub(crate) fn corrected(expected: &str) -> [Question; 2] {
    [SubmissionKind::Standard, SubmissionKind::Personalized]
        .map(|kind| Question::build(kind, CORRECTED).time_limit_seconds(20.0).public("", expected).done())
}

impl Program {
    /// What is wrong with the result of a generation that Convex was told, if anything.
    #[must_use]
    pub fn fault_of(&self, result: &Value, generation: u64) -> Option<String> {
        let mut result = result.clone();
        let fields = result.as_object_mut()?;
        fields.remove("submissionId");
        let has_duration = fields.remove("durationMs").is_some_and(|ms| ms.is_u64());
        // The compiler's words are its own.
        let words = matches!(self.verdict, Verdict::CompileError).then(|| fields.remove("compileOutput"));
        let said = words.flatten().unwrap_or_default();
        let mut expected = self.expected(&said, generation);
        if generation > 1 {
            for expected in &mut expected {
                clear_what_was_told_before(expected, said.is_null());
            }
        }
        let is_right = expected.contains(&result) && has_duration;
        (!is_right).then(|| format!("{} got {result}, not {}", self.name, Value::Array(expected)))
    }

    /// What the result is once the question is corrected for the last time.
    #[must_use]
    pub fn is_corrected(&self) -> bool {
        matches!(self.verdict, Verdict::Corrected)
    }

    /// What it may come to.
    fn expected(&self, said: &Value, generation: u64) -> Vec<Value> {
        let failed = |at: u32, total: u32, failure: Value| {
            json!({
                "status": "failed", "passedCount": at, "totalCount": total, "firstFailureIndex": at,
                "firstFailure": failure,
            })
        };
        let once = json!({ "status": "passed", "passedCount": 1, "totalCount": 1 });
        let expected = match self.verdict {
            Verdict::Passed => json!({ "status": "passed", "passedCount": 3, "totalCount": 3 }),
            Verdict::WrongAtHidden => {
                failed(1, 3, json!({ "actualOutput": "3\n", "errorMessage": "Wrong answer" }))
            }
            Verdict::Exited => {
                let failure = json!({
                    "stdin": "1 2\n", "actualOutput": "", "expectedOutput": "3\n", "errorMessage": "oops",
                });
                let mut result = failed(0, 3, failure);
                result["stderr"] = json!("oops");
                result
            }
            Verdict::Endless => {
                let failure = json!({
                    "stdin": "", "actualOutput": "", "expectedOutput": "", "errorMessage": "Time limit exceeded",
                });
                failed(0, 1, failure)
            }
            Verdict::CompileError => failed(0, 3, json!({ "errorMessage": said })),
            Verdict::NoQuestion => json!({ "status": "error", "stderr": "The question was not found." }),
            Verdict::Corrected => {
                let failure = json!({
                    "stdin": "", "actualOutput": "1\n", "expectedOutput": CORRECTIONS[1],
                    "errorMessage": "Wrong answer",
                });
                return vec![once, failed(0, 1, failure)];
            }
            Verdict::Poison if generation == 1 => {
                json!({ "status": "error", "stderr": format!("Delivered {MAX_DELIVERIES} times without an end.") })
            }
            Verdict::Poison => once,
        };
        vec![expected]
    }
}

/// Convex keeps what a result leaves out, so a later generation empties it.
fn clear_what_was_told_before(expected: &mut Value, says_nothing_of_compiling: bool) {
    let Some(fields) = expected.as_object_mut() else { return };
    fields.entry("firstFailure").or_insert_with(|| json!({}));
    fields.entry("stderr").or_insert_with(|| json!(""));
    if says_nothing_of_compiling {
        fields.entry("compileOutput").or_insert_with(|| json!(""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_verdict_is_seen() {
        let right = json!({
            "submissionId": "s1", "status": "passed", "passedCount": 3, "totalCount": 3, "durationMs": 12,
        });
        assert_eq!(PROGRAMS[0].fault_of(&right, 1), None);
        assert!(PROGRAMS[2].fault_of(&right, 1).is_some());
        for (field, value) in
            [("status", json!("error")), ("passedCount", json!(2)), ("durationMs", json!(null))]
        {
            let mut wrong = right.clone();
            wrong[field] = value;
            assert!(PROGRAMS[0].fault_of(&wrong, 1).is_some(), "{field}");
        }
    }

    #[test]
    fn a_later_generation_must_clear_what_was_told_before() {
        let first = json!({
            "submissionId": "s1", "status": "passed", "passedCount": 3, "totalCount": 3, "durationMs": 12,
        });
        assert!(PROGRAMS[0].fault_of(&first, 2).is_some());
        let mut second = first.clone();
        for (field, value) in
            [("firstFailure", json!({})), ("stderr", json!("")), ("compileOutput", json!(""))]
        {
            second[field] = value;
        }
        assert_eq!(PROGRAMS[0].fault_of(&second, 2), None);
        assert!(PROGRAMS[0].fault_of(&second, 1).is_some(), "the first one has nothing to clear");
    }

    #[test]
    fn a_poison_ends_in_an_error_and_passes_where_judges_live() {
        let given_up = json!({
            "submissionId": "s1", "status": "error", "stderr": "Delivered 10 times without an end.", "durationMs": 1,
        });
        let poison = &PROGRAMS[POISON];
        assert_eq!(poison.fault_of(&given_up, 1), None);
        assert!(poison.fault_of(&given_up, 2).is_some());
    }

    #[test]
    fn each_program_is_picked_by_its_weight() {
        let mut picked = [0; PROGRAMS.len()];
        for place in 0..total_weight() {
            picked[pick(place)] += 1;
        }
        assert_eq!(picked, PROGRAMS.map(|program| program.weight));
    }
}
