//! Questions with their test cases, in the shape of the wire contract.
//!
//! A question is stored as the exact bytes of its answer, built once when it is loaded. Unknown fields are preserved,
//! and serving a question costs one reference count.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::endpoint::SubmissionKind;

/// Why a question is invalid.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// The text is not JSON, or not a list of objects with a `kind`.
    #[error("the questions are not a JSON list of {{kind, question, testCases}}")]
    NotAList(#[source] serde_json::Error),
    /// `question._id` is missing, not a string, or empty.
    #[error("question number {index} has no question._id")]
    NoId {
        /// Position in the list, counted from zero.
        index: usize,
    },
    /// `testCases` is missing or not a list.
    #[error("question {id} has no list of testCases")]
    NoTestCases {
        /// The question's id.
        id: String,
    },
}

/// A question as an endpoint answers it.
#[derive(Debug, Clone)]
pub struct Question {
    pub(crate) kind: SubmissionKind,
    pub(crate) id: String,
    pub(crate) test_cases: usize,
    pub(crate) answer: Bytes,
}

impl Question {
    /// Creates a question from the document to answer: `{"question": {"_id": …}, "testCases": […]}`. Nothing else is
    /// checked, so that a test can serve documents that the real app never would.
    ///
    /// # Errors
    /// Returns an error if `question._id` is missing or empty, or `testCases` is not a list.
    pub fn new(kind: SubmissionKind, document: &Value) -> Result<Self, QuestionError> {
        Self::at(0, kind, document)
    }

    /// Starts building a question.
    #[must_use]
    pub fn build(kind: SubmissionKind, id: &str) -> QuestionBuilder {
        QuestionBuilder {
            kind,
            question: json!({
                "_id": id, "timeLimitSeconds": 2, "memoryLimitMb": 256,
                "outputComparison": { "trimOutputs": true, "normalizeWhitespace": false, "caseSensitive": true },
            }),
            cases: Vec::new(),
        }
    }

    /// The question's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is standard or personalized.
    #[must_use]
    pub fn kind(&self) -> SubmissionKind {
        self.kind
    }

    fn at(index: usize, kind: SubmissionKind, document: &Value) -> Result<Self, QuestionError> {
        let id = document["question"]["_id"].as_str().filter(|id| !id.is_empty());
        let id = id.ok_or(QuestionError::NoId { index })?.to_owned();
        let Some(cases) = document["testCases"].as_array() else {
            return Err(QuestionError::NoTestCases { id });
        };
        Ok(Self { kind, id, test_cases: cases.len(), answer: Bytes::from(document.to_string()) })
    }
}

/// Builds a [`Question`]. The defaults are 2 s, 256 MiB, no test cases and a comparison that only trims.
#[derive(Debug, Clone)]
pub struct QuestionBuilder {
    kind: SubmissionKind,
    question: Value,
    cases: Vec<Value>,
}

impl QuestionBuilder {
    /// Sets the CPU time per test in seconds; may be fractional.
    #[must_use]
    pub fn time_limit_seconds(mut self, seconds: f64) -> Self {
        self.question["timeLimitSeconds"] = json!(seconds);
        self
    }

    /// Sets the memory per test in MiB; may be fractional.
    #[must_use]
    pub fn memory_limit_mb(mut self, mebibytes: f64) -> Self {
        self.question["memoryLimitMb"] = json!(mebibytes);
        self
    }

    /// Sets any field of the `question` object, for instance `outputComparison`.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.question[name] = value;
        self
    }

    /// Adds a public test, which the learner may see.
    #[must_use]
    pub fn public(self, stdin: &str, expected_stdout: &str) -> Self {
        self.case("public", stdin, expected_stdout)
    }

    /// Adds a hidden test, which the learner must not see.
    #[must_use]
    pub fn hidden(self, stdin: &str, expected_stdout: &str) -> Self {
        self.case("hidden", stdin, expected_stdout)
    }

    /// The finished question.
    #[must_use]
    pub fn done(self) -> Question {
        let document = json!({ "question": self.question, "testCases": self.cases });
        Question::new(self.kind, &document).expect("the builder was given a string id and holds a list")
    }

    fn case(mut self, visibility: &str, stdin: &str, expected_stdout: &str) -> Self {
        let order = self.cases.len();
        self.cases.push(json!({
            "_id": format!("case{order}"), "visibility": visibility, "stdin": stdin,
            "expectedStdout": expected_stdout, "order": order,
        }));
        self
    }
}

/// Reads a JSON list of `{"kind": "standard" | "personalized", "question": {…}, "testCases": […]}`.
///
/// # Errors
/// Returns an error if the text is not such a list, or for the first question that is invalid.
pub fn from_json(text: &str) -> Result<Vec<Question>, QuestionError> {
    #[derive(serde::Deserialize)]
    struct Entry {
        kind: SubmissionKind,
        #[serde(flatten)]
        document: Map<String, Value>,
    }

    let entries: Vec<Entry> = serde_json::from_str(text).map_err(QuestionError::NotAList)?;
    let questions = entries.into_iter().enumerate();
    questions.map(|(index, entry)| Question::at(index, entry.kind, &Value::Object(entry.document))).collect()
}

/// The project's sample questions (`samples/questions.json`), which the demo serves.
#[must_use]
pub fn samples() -> Vec<Question> {
    from_json(include_str!("../../../samples/questions.json")).expect("the sample questions are well formed")
}
