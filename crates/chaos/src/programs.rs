//! The submitted programs and their expected verdicts. The programs are short, and a loaded machine cannot change
//! their verdicts.

use gavel_mock_convex::{Question, SubmissionKind};
use serde_json::{Value, json};

const C: u32 = 50;
const PYTHON: u32 = 71;
/// The id of a Python that is newer than most machines have: only judges with `LANGUAGE_VERSIONS=any` serve it.
const NEW_PYTHON: u32 = 113;

/// A program.
#[derive(Debug)]
pub struct Program {
    /// Its name in messages.
    pub name: &'static str,
    /// How often it is picked, relative to the others.
    weight: u32,
    /// Its language, as a Judge0 id.
    pub language: u32,
    /// The question that it answers.
    pub question: &'static str,
    /// Its source.
    pub source: &'static str,
    /// The verdict that it must get.
    verdict: ExpectedVerdict,
}

#[derive(Debug)]
enum ExpectedVerdict {
    Passed,
    WrongAtHidden,
    Exited,
    Endless,
    CompileError,
    NoQuestion,
    /// The kernel refuses to execute it.
    NotExecuted,
    /// Passed or failed, because the expected output changes during the run.
    Corrected,
    Poison,
}

/// The question whose expected output changes during a run …
pub(crate) const CORRECTED: &str = "corrected";
/// … between these two: what its program prints, and something else.
pub(crate) const CORRECTIONS: [&str; 2] = ["1\n", "2\n"];
/// The index of the program whose judges are killed.
pub(crate) const POISON: usize = 8;
/// The name of its process.
pub(crate) const POISON_NAME: &str = "poison";
/// After how many deliveries it is given up. No other message is delivered that often, whatever the faults.
pub(crate) const MAX_DELIVERIES: u64 = 10;

/// What the learner reads about a program that the kernel refuses to execute.
const NOT_EXECUTED: &str = "The program cannot be started: its file is not a valid executable.";

/// The programs.
pub const PROGRAMS: [Program; 11] = [
    Program {
        name: "right, in Python",
        weight: 40,
        language: PYTHON,
        question: "sum",
        source: "a, b = map(int, input().split())\nprint(a + b)\n",
        verdict: ExpectedVerdict::Passed,
    },
    Program {
        name: "right, in C",
        weight: 12,
        language: C,
        question: "sum",
        source: "#include <stdio.h>\nint main(void){long a,b;scanf(\"%ld %ld\",&a,&b);printf(\"%ld\\n\",a+b);}",
        verdict: ExpectedVerdict::Passed,
    },
    Program {
        name: "wrong on the hidden test",
        weight: 16,
        language: PYTHON,
        question: "sum",
        source: "print(3)",
        verdict: ExpectedVerdict::WrongAtHidden,
    },
    Program {
        name: "ends with an error",
        weight: 16,
        language: NEW_PYTHON,
        question: "sum",
        source: "import sys\nsys.stderr.write('oops')\nsys.exit(3)",
        verdict: ExpectedVerdict::Exited,
    },
    Program {
        name: "endless",
        weight: 6,
        language: PYTHON,
        question: "quick",
        source: "while True: pass",
        verdict: ExpectedVerdict::Endless,
    },
    Program {
        name: "does not compile",
        weight: 6,
        language: C,
        question: "sum",
        source: "int main(void){ return x; }",
        verdict: ExpectedVerdict::CompileError,
    },
    Program {
        name: "answers an unknown question",
        weight: 4,
        language: PYTHON,
        question: "nosuchquestion",
        source: "print(3)",
        verdict: ExpectedVerdict::NoQuestion,
    },
    Program {
        name: "answers the corrected question",
        weight: 8,
        language: PYTHON,
        question: CORRECTED,
        source: "print(1)",
        verdict: ExpectedVerdict::Corrected,
    },
    Program {
        name: "a poison",
        weight: 0,
        language: C,
        question: "once",
        // It runs long enough to be found, whatever other faults act on its judge.
        source: "#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\n\
                 int main(int n,char**v){strcpy(v[0],\"poison\");sleep(12);puts(\"1\");}",
        verdict: ExpectedVerdict::Poison,
    },
    Program {
        name: "names a missing interpreter",
        weight: 5,
        language: C,
        question: "sum",
        source: "__asm__(\".section .interp,\\\"a\\\"\\n.string \\\"/no/such/interpreter\\\"\\n.text\");\nint main(void){}",
        verdict: ExpectedVerdict::NotExecuted,
    },
    Program {
        name: "names a device as its interpreter",
        weight: 5,
        language: C,
        question: "sum",
        source: "__asm__(\".section .interp,\\\"a\\\"\\n.string \\\"/dev/null\\\"\\n.text\");\nint main(void){}",
        verdict: ExpectedVerdict::NotExecuted,
    },
];

/// Returns a file for `SANDBOX_LANGUAGES` that leaves only the languages of the programs. A judge is killed every few seconds,
/// and would otherwise be busy with the checks of the other toolchains most of the time.
pub(crate) fn other_languages() -> String {
    let used = |id: &u32| PROGRAMS.iter().any(|program| program.language == *id);
    let others: Vec<u32> = (1..=200).filter(|id| !used(id)).collect();
    format!(
        "[[language]]\nids = {others:?}\nname = \"Not served\"\ntoolchain = \"/nonexistent\"\n\
         version = [\"/nonexistent\"]\nsource = \"main\"\nrun = [\"/box/program/main\"]\n"
    )
}

/// Returns the sum of all weights.
pub(crate) fn total_weight() -> u32 {
    PROGRAMS.iter().map(|program| program.weight).sum()
}

/// Returns the index of the program at `position` among the summed weights.
pub(crate) fn pick(mut position: u32) -> usize {
    let found = PROGRAMS.iter().position(|program| {
        let is_here = position < program.weight;
        position = position.saturating_sub(program.weight);
        is_here
    });
    found.unwrap_or_default()
}

/// Returns the questions, each for both submission kinds.
#[must_use]
pub fn questions() -> Vec<Question> {
    let both = |make: fn(SubmissionKind) -> Question| {
        [make(SubmissionKind::Standard), make(SubmissionKind::Personalized)]
    };
    let sum = |kind| {
        // Far more than the programs need, so that a loaded machine never makes them exceed the wall-clock limit.
        let question = Question::build(kind, "sum").time_limit_seconds(20.0).memory_limit_mb(64.0);
        question.public("1 2\n", "3\n").hidden("20 22\n", "42\n").public("5 5\n", "10\n").done()
    };
    let quick = |kind| Question::build(kind, "quick").time_limit_seconds(0.2).public("", "").done();
    let once = |kind| Question::build(kind, "once").time_limit_seconds(20.0).public("", "1\n").done();
    [both(sum), both(quick), both(once), corrected(CORRECTIONS[1])].concat()
}

/// Returns the corrected question with this expected output.
pub(crate) fn corrected(expected: &str) -> [Question; 2] {
    [SubmissionKind::Standard, SubmissionKind::Personalized]
        .map(|kind| Question::build(kind, CORRECTED).time_limit_seconds(20.0).public("", expected).done())
}

impl Program {
    /// Returns what is wrong with the reported result of a generation, or `None` if it is correct.
    #[must_use]
    pub fn violation(&self, result: &Value, generation: u64) -> Option<String> {
        let mut result = result.clone();
        let fields = result.as_object_mut()?;
        fields.remove("submissionId");
        let has_duration = fields.remove("durationMs").is_some_and(|ms| ms.is_u64());
        // The output of the compiler is not fixed.
        let compile_output =
            matches!(self.verdict, ExpectedVerdict::CompileError).then(|| fields.remove("compileOutput"));
        let compile_output = compile_output.flatten().unwrap_or_default();
        let mut expected = self.expected(&compile_output, generation);
        if generation > 1 {
            for expected in &mut expected {
                add_emptied_fields(expected, compile_output.is_null());
            }
        }
        let is_right = expected.contains(&result) && has_duration;
        (!is_right).then(|| format!("{} got {result}, not {}", self.name, Value::Array(expected)))
    }

    /// Whether it answers the corrected question, and so passes after the last correction.
    #[must_use]
    pub fn is_corrected(&self) -> bool {
        matches!(self.verdict, ExpectedVerdict::Corrected)
    }

    /// Returns the results that are correct.
    fn expected(&self, compile_output: &Value, generation: u64) -> Vec<Value> {
        let failed = |at: u32, total: u32, failure: Value| {
            json!({
                "status": "failed", "passedCount": at, "totalCount": total, "firstFailureIndex": at,
                "firstFailure": failure,
            })
        };
        let exited = |stderr: &str| {
            let failure = json!({
                "stdin": "1 2\n", "actualOutput": "", "expectedOutput": "3\n", "errorMessage": stderr,
            });
            let mut result = failed(0, 3, failure);
            result["stderr"] = json!(stderr);
            result
        };
        let error = |reason: &str| json!({ "status": "error", "firstFailure": { "errorMessage": reason } });
        let once = json!({ "status": "passed", "passedCount": 1, "totalCount": 1 });
        let expected = match self.verdict {
            ExpectedVerdict::Passed => json!({ "status": "passed", "passedCount": 3, "totalCount": 3 }),
            ExpectedVerdict::WrongAtHidden => {
                failed(1, 3, json!({ "actualOutput": "3\n", "errorMessage": "Wrong answer" }))
            }
            ExpectedVerdict::Exited => exited("oops"),
            ExpectedVerdict::NotExecuted => exited(NOT_EXECUTED),
            ExpectedVerdict::Endless => {
                let failure = json!({
                    "stdin": "", "actualOutput": "", "expectedOutput": "", "errorMessage": "Time limit exceeded",
                });
                failed(0, 1, failure)
            }
            ExpectedVerdict::CompileError => {
                let failure = json!({
                    "stdin": "1 2\n", "actualOutput": "", "expectedOutput": "3\n", "errorMessage": compile_output,
                });
                failed(0, 3, failure)
            }
            ExpectedVerdict::NoQuestion => error("The question was not found."),
            ExpectedVerdict::Corrected => {
                let failure = json!({
                    "stdin": "", "actualOutput": "1\n", "expectedOutput": CORRECTIONS[1],
                    "errorMessage": "Wrong answer",
                });
                return vec![once, failed(0, 1, failure)];
            }
            ExpectedVerdict::Poison if generation == 1 => error("The judge was interrupted."),
            ExpectedVerdict::Poison => once,
        };
        vec![expected]
    }
}

/// Adds the empty values of a later generation. Convex keeps the stored value of a field that a result omits.
fn add_emptied_fields(expected: &mut Value, has_no_compile_output: bool) {
    let Some(fields) = expected.as_object_mut() else { return };
    fields.entry("firstFailure").or_insert_with(|| json!({}));
    fields.entry("stderr").or_insert_with(|| json!(""));
    if has_no_compile_output {
        fields.entry("compileOutput").or_insert_with(|| json!(""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_verdict_is_a_violation() {
        let right = json!({
            "submissionId": "s1", "status": "passed", "passedCount": 3, "totalCount": 3, "durationMs": 12,
        });
        assert_eq!(PROGRAMS[0].violation(&right, 1), None);
        assert!(PROGRAMS[2].violation(&right, 1).is_some());
        for (field, value) in
            [("status", json!("error")), ("passedCount", json!(2)), ("durationMs", json!(null))]
        {
            let mut wrong = right.clone();
            wrong[field] = value;
            assert!(PROGRAMS[0].violation(&wrong, 1).is_some(), "{field}");
        }
    }

    #[test]
    fn later_generation_must_empty_the_fields_of_an_earlier_one() {
        let first = json!({
            "submissionId": "s1", "status": "passed", "passedCount": 3, "totalCount": 3, "durationMs": 12,
        });
        assert!(PROGRAMS[0].violation(&first, 2).is_some());
        let mut second = first.clone();
        for (field, value) in
            [("firstFailure", json!({})), ("stderr", json!("")), ("compileOutput", json!(""))]
        {
            second[field] = value;
        }
        assert_eq!(PROGRAMS[0].violation(&second, 2), None);
        assert!(PROGRAMS[0].violation(&second, 1).is_some(), "the first generation has nothing to empty");
    }

    #[test]
    fn poison_is_an_error_first_and_passes_when_retried() {
        let given_up = json!({
            "submissionId": "s1", "status": "error", "durationMs": 1,
            "firstFailure": { "errorMessage": "The judge was interrupted." },
        });
        let poison = &PROGRAMS[POISON];
        assert_eq!(poison.violation(&given_up, 1), None);
        assert!(poison.violation(&given_up, 2).is_some());
    }

    #[test]
    fn programs_are_picked_by_weight() {
        let mut picked = [0; PROGRAMS.len()];
        for position in 0..total_weight() {
            picked[pick(position)] += 1;
        }
        assert_eq!(picked, PROGRAMS.map(|program| program.weight));
    }
}
