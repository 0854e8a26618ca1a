//! What is submitted, and the verdict that each must get: quick programs, whose verdicts a loaded machine cannot
//! change.

use gavel_standin::{Kind, Question};
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
}

/// All of them.
pub const PROGRAMS: [Program; 7] = [
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
    let both = |make: fn(Kind) -> Question| [make(Kind::Standard), make(Kind::Personalized)];
    let sum = |kind| {
        // Far more than a program needs here: what is to be met is never the wall clock of a loaded machine.
        let question = Question::build(kind, "sum").time_limit_seconds(20.0).memory_limit_mb(64.0);
        question.public("1 2\n", "3\n").hidden("20 22\n", "42\n").public("5 5\n", "10\n").done()
    };
    let quick = |kind| Question::build(kind, "quick").time_limit_seconds(0.2).public("", "").done();
    both(sum).into_iter().chain(both(quick)).collect()
}

impl Program {
    /// What is wrong with a result that Convex was told, if anything.
    #[must_use]
    pub fn fault_of(&self, result: &Value) -> Option<String> {
        let mut result = result.clone();
        let fields = result.as_object_mut()?;
        fields.remove("submissionId");
        let has_duration = fields.remove("durationMs").is_some_and(|ms| ms.is_u64());
        // The compiler's words are its own.
        let words = matches!(self.verdict, Verdict::CompileError).then(|| fields.remove("compileOutput"));
        let said = words.flatten().unwrap_or_default();
        let expected = self.expected(&said);
        let is_right = result == expected && has_duration;
        (!is_right).then(|| format!("{} got {result}, not {expected}", self.name))
    }

    fn expected(&self, said: &Value) -> Value {
        let failed = |at: u32, total: u32, failure: Value| {
            json!({
                "status": "failed", "passedCount": at, "totalCount": total, "firstFailureIndex": at,
                "firstFailure": failure,
            })
        };
        match self.verdict {
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
        }
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
        assert_eq!(PROGRAMS[0].fault_of(&right), None);
        assert!(PROGRAMS[2].fault_of(&right).is_some());
        for (field, value) in
            [("status", json!("error")), ("passedCount", json!(2)), ("durationMs", json!(null))]
        {
            let mut wrong = right.clone();
            wrong[field] = value;
            assert!(PROGRAMS[0].fault_of(&wrong).is_some(), "{field}");
        }
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
