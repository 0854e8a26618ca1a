//! The question's three switches, each alone and all together, through the whole pipeline.

use gavel_mock_convex::{Question, SubmissionKind};
use serde_json::json;

use crate::pipeline::Pipeline;

#[tokio::test(flavor = "multi_thread")]
async fn comparison_switches_work_alone_and_together() {
    // Differs from the expected output in trailing white space, in runs of spaces, and in case, in this order.
    let programs =
        [("trim", "Hi there \n\n"), ("spaces", "Hi \t there"), ("case", "hI THERE"), ("all", "hI  THERE \n")];
    let switches = [
        ("strict", [false, false, true]),
        ("trim", [true, false, true]),
        ("spaces", [false, true, true]),
        ("case", [false, false, false]),
        ("all", [true, true, false]),
    ];
    let questions = switches.map(|(id, [trim, spaces, sensitive])| {
        let comparison = json!({
            "trimOutputs": trim, "normalizeWhitespace": spaces, "caseSensitive": sensitive,
        });
        Question::build(SubmissionKind::Standard, id)
            .field("outputComparison", comparison)
            .public("", "Hi there")
            .done()
    });
    let pipeline = Pipeline::start(questions.to_vec()).await;
    for (question, _) in switches {
        for (program, output) in programs {
            let source = format!("import sys\nsys.stdout.write({output:?})");
            pipeline.submit(&format!("{question}-{program}"), question, 71, &source).await;
        }
    }
    for (question, _) in switches {
        for (program, _) in programs {
            let id = format!("{question}-{program}");
            let expected = if question == "all" || question == program { "passed" } else { "failed" };
            assert_eq!(pipeline.result(&id).await["status"], expected, "{id}");
        }
    }
}
