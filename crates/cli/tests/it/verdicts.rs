//! Each row of the contract's table of results, exactly as Convex gets it, for both kinds of submission.

use gavel_mock_convex::{Question, SubmissionKind};
use serde_json::{Value, json};

use crate::pipeline::{Pipeline, submission};

const C: u32 = 50;
const CPP: u32 = 54;
const PYTHON: u32 = 71;
const JAVASCRIPT: u32 = 63;

/// Adds two numbers: a public test, a hidden one, a public one.
fn sum(kind: SubmissionKind, id: &str) -> Question {
    Question::build(kind, id)
        .time_limit_seconds(1.0)
        .memory_limit_mb(64.0)
        .public("1 2\n", "3\n")
        .hidden("20 22\n", "42\n")
        .public("5 5\n", "10\n")
        .done()
}

fn questions() -> Vec<Question> {
    let quick =
        Question::build(SubmissionKind::Standard, "quick").time_limit_seconds(0.3).public("", "").done();
    let empty = Question::build(SubmissionKind::Standard, "empty").done();
    let numbers: Vec<String> = (0..51).map(|n| n.to_string()).collect();
    let full =
        numbers.iter().fold(Question::build(SubmissionKind::Standard, "full"), |q, n| q.public(n, n)).done();
    let fifty = numbers[1..]
        .iter()
        .fold(Question::build(SubmissionKind::Standard, "fifty"), |q, n| q.public(n, n))
        .done();
    let windows = Question::build(SubmissionKind::Standard, "windows").public("a\r\nb\r\n", "2 4\r\n").done();
    let unicode = Question::build(SubmissionKind::Standard, "unicode").public("grüß 🦀", "🦀 ßürg").done();
    vec![
        sum(SubmissionKind::Standard, "sum"),
        sum(SubmissionKind::Personalized, "mysum"),
        quick,
        empty,
        full,
        fifty,
        windows,
        unicode,
    ]
}

const ADD: &str = "a, b = map(int, input().split())\nprint(a + b)\n";

/// The failure of the first test, which is public.
fn at_first(message: &str, output: &str) -> Value {
    json!({
        "status": "failed", "passedCount": 0, "totalCount": 3, "firstFailureIndex": 0,
        "firstFailure": { "stdin": "1 2\n", "actualOutput": output, "expectedOutput": "3\n", "errorMessage": message },
    })
}

/// Programs with the exact verdict expected.
fn exact() -> Vec<(&'static str, u32, &'static str, Value)> {
    let passed = json!({ "status": "passed", "passedCount": 3, "totalCount": 3 });
    let c = "#include <stdio.h>\nint main(void){long a,b;scanf(\"%ld %ld\",&a,&b);printf(\"%ld\\n\",a+b);}";
    let cpp = "#include <iostream>\nint main(){long a,b;std::cin>>a>>b;std::cout<<a+b<<'\\n';}";
    let js = "const [a,b]=require('fs').readFileSync(0,'utf8').split(' ').map(Number);console.log(a+b)";
    let hog = "#include <stdlib.h>\n#include <string.h>\nint main(void){for(;;){char*p=malloc(1<<20);\
               if(p)memset(p,1,1<<20);}}";
    let flood = "import sys\nwhile True: sys.stdout.write('x' * 65536)\n";
    let mut signalled = at_first("Runtime error (SIGSEGV)", "");
    let mut exited = at_first("oops", "");
    exited["stderr"] = json!("oops");
    let hidden = json!({
        "status": "failed", "passedCount": 1, "totalCount": 3, "firstFailureIndex": 1,
        "firstFailure": { "actualOutput": "3\n", "errorMessage": "Wrong answer" },
    });
    signalled.as_object_mut().unwrap().remove("stderr");
    vec![
        ("passed-c", C, c, passed.clone()),
        ("passed-cpp", CPP, cpp, passed.clone()),
        ("passed-python", PYTHON, ADD, passed.clone()),
        ("passed-js", JAVASCRIPT, js, passed),
        ("wrong", PYTHON, "print(4)", at_first("Wrong answer", "4\n")),
        ("wrong-hidden", PYTHON, "print(3)", hidden),
        ("silent", PYTHON, "", at_first("Wrong answer", "")),
        (
            "endless",
            PYTHON,
            "print('on', flush=True)\nwhile True: pass",
            at_first("Time limit exceeded", "on\n"),
        ),
        ("sleeper", PYTHON, "import time\ntime.sleep(99)", at_first("Time limit exceeded", "")),
        ("hog", C, hog, at_first("Memory limit exceeded", "")),
        ("crash", C, "int main(void){*(volatile int*)0=1;}", signalled),
        ("exit", PYTHON, "import sys\nsys.stderr.write('oops')\nsys.exit(3)", exited),
        ("exit-silent", C, "int main(void){return 7;}", at_first("Runtime error (exit code 7)", "")),
        ("flood", PYTHON, flood, json!("flood")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn result_table_for_standard_questions() {
    let pipeline = Pipeline::start(questions()).await;
    for (id, language, source, _) in exact() {
        pipeline.submit(id, "sum", language, source).await;
    }
    for (id, _, _, expected) in exact() {
        let result = pipeline.result(id).await;
        if id == "flood" {
            check_flood(&result);
        } else {
            assert_eq!(result, expected, "{id}");
        }
    }
    assert!(pipeline.convex.running_after_result().is_empty());
    assert!(pipeline.convex.wrong_paths().is_empty());
}

/// Output is truncated to 8 KiB and ends with a marker.
fn check_flood(result: &Value) {
    assert_eq!(result["firstFailure"]["errorMessage"], "Output limit exceeded");
    let output = result["firstFailure"]["actualOutput"].as_str().unwrap();
    assert!(output.len() <= 8 * 1024 && output.starts_with("xxx"), "{} bytes", output.len());
    assert!(output.ends_with(" bytes in all]"), "{}", &output[output.len() - 40..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn result_table_for_personalized_questions() {
    let pipeline = Pipeline::start(questions()).await;
    let rows: Vec<_> =
        exact().into_iter().filter(|row| ["passed-c", "wrong-hidden", "exit"].contains(&row.0)).collect();
    for (id, language, source, _) in &rows {
        let mut body = submission(id, "mysum", *language, source);
        body["submissionKind"] = "personalized".into();
        assert_eq!(pipeline.post(&body).await, 202);
    }
    for (id, _, _, expected) in rows {
        assert_eq!(pipeline.result(id).await, expected, "{id}");
        assert_eq!(pipeline.convex.submission(id).unwrap().kind, SubmissionKind::Personalized, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compile_error_carries_compiler_output() {
    let pipeline = Pipeline::start(questions()).await;
    pipeline.submit("c", "sum", C, "int main(void){ return x; }").await;
    pipeline.submit("cpp", "sum", CPP, "int main(){ retrun 0; }").await;
    for (id, word) in [("c", "undeclared"), ("cpp", "retrun")] {
        let result = pipeline.result(id).await;
        let said = result["compileOutput"].as_str().unwrap();
        assert!(said.contains(word), "{said}");
        let expected = json!({
            "status": "failed", "passedCount": 0, "totalCount": 3, "firstFailureIndex": 0,
            "firstFailure": {
                "stdin": "1 2\n", "actualOutput": "", "expectedOutput": "3\n", "errorMessage": said,
            },
            "compileOutput": said,
        });
        assert_eq!(result, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_outside_the_program_is_an_error_with_its_reason() {
    let pipeline = Pipeline::start(questions()).await;
    let rows = [
        ("nowhere", "nosuchquestion", PYTHON, "The question was not found."),
        ("none", "empty", PYTHON, "The question has no test cases."),
        ("many", "full", PYTHON, "The question has 51 test cases, but at most 50 are allowed."),
    ];
    for (id, question, language, reason) in rows {
        pipeline.submit(id, question, language, ADD).await;
        assert_eq!(
            pipeline.result(id).await,
            json!({ "status": "error", "firstFailure": { "errorMessage": reason } }),
            "{id}"
        );
    }
    // An unavailable language is detected by the judge, which knows the number of tests.
    pipeline.submit("language", "sum", 4242, ADD).await;
    let result = pipeline.result("language").await;
    assert_eq!((result["status"].as_str(), result["totalCount"].as_u64()), (Some("error"), Some(3)));
    let reason = "Language 4242 is not available on this judge.";
    assert_eq!(result["firstFailure"], json!({ "errorMessage": reason }));
}

#[tokio::test(flavor = "multi_thread")]
async fn verdict_is_right_for_fifty_tests_crlf_and_unicode() {
    let pipeline = Pipeline::start(questions()).await;
    pipeline.submit("fifty", "fifty", PYTHON, "print(input())").await;
    pipeline.submit("quick", "quick", PYTHON, "while True: pass").await;
    let lengths = "import sys\nt = sys.stdin.read()\r\nprint(t.count('\\n'), len(t))\r\n";
    pipeline.submit("windows", "windows", PYTHON, lengths).await;
    pipeline.submit("unicode", "unicode", PYTHON, "print(input()[::-1])").await;
    assert_eq!(
        pipeline.result("fifty").await,
        json!({ "status": "passed", "passedCount": 50, "totalCount": 50 })
    );
    assert_eq!(pipeline.result("quick").await["firstFailure"]["errorMessage"], "Time limit exceeded");
    for id in ["windows", "unicode"] {
        assert_eq!(
            pipeline.result(id).await,
            json!({ "status": "passed", "passedCount": 1, "totalCount": 1 }),
            "{id}"
        );
    }
}

/// Invariant 4: hidden input and expected output exist only in the fetcher, the bundle and the judge.
#[tokio::test(flavor = "multi_thread")]
async fn hidden_data_and_source_appear_nowhere() {
    let secret =
        Question::build(SubmissionKind::Standard, "secret").hidden("hiddeninput", "hiddenexpectation").done();
    let pipeline = Pipeline::start(vec![secret]).await;
    pipeline.submit("leak", "secret", PYTHON, "nosuchname # sourcecodemarker").await;
    let result = pipeline.result("leak").await.to_string();
    assert!(!result.contains("hiddeninput") && !result.contains("hiddenexpectation"), "{result}");
    for process in [&pipeline.ingress, &pipeline.fetcher, &pipeline.judge, &pipeline.reporter] {
        for entry in process.log() {
            for word in ["hiddeninput", "hiddenexpectation", "sourcecodemarker"] {
                assert!(!entry.contains(word), "{}", entry.text);
            }
        }
    }
}
