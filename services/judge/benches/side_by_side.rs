//! Tests of a submission side by side in idle slots (ADR 13), compared with one test after the other: the time of ten
//! tests while one of two slots is idle, also next to ten plain runs, and the submissions per second of a judge whose
//! queue is never empty. Exits with 1 if a target is not met.

#![expect(clippy::unwrap_used, reason = "a benchmark panics on errors")]

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use clap::Parser;
use futures::StreamExt as _;
use gavel_bus::Bundles;
use gavel_config::Env;
use gavel_domain::engine::{EngineFault, Job, Observer, Progress};
use gavel_domain::event::Ready;
use gavel_domain::heartbeat::ServedLanguage;
use gavel_domain::{LanguageId, Limits, Question, Submission};
use gavel_judge::{Config, Engine, SandboxEngine};
use gavel_runtime::Lifecycle;
use gavel_sandbox::{Compilation, Languages, RunLimits, Sandbox, SandboxConfig};
use gavel_testkit::{Rig, fixtures};

/// One slot for each of two CPUs.
const SLOTS: usize = 2;
const TESTS: usize = 10;
/// The longest that a round of the full judge may take.
const ROUND_TIMEOUT: Duration = Duration::from_mins(10);

/// Compare tests side by side with one test after the other.
#[derive(Parser)]
#[command(name = "side_by_side")]
struct Arguments {
    /// How often each measurement is repeated; the median counts
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Submissions in the queue of the full judge
    #[arg(long, default_value_t = 200)]
    submissions: usize,
    /// Ignored; cargo passes it to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A sum in one language.
struct Sum {
    id: u32,
    name: &'static str,
    source: &'static str,
    /// Prepares and runs the program without a sandbox, in a shell.
    prepare: &'static str,
    plain: &'static str,
    /// The name of its source file.
    file: &'static str,
}

const SUMS: [Sum; 8] = [
    Sum {
        id: 50,
        name: "C",
        source: "#include <stdio.h>\nint main(){long a,b;scanf(\"%ld %ld\",&a,&b);printf(\"%ld\\n\",a+b);}",
        prepare: "gcc -O2 -o main main.c",
        plain: "./main",
        file: "main.c",
    },
    Sum {
        id: 71,
        name: "Python",
        source: "print(sum(map(int, input().split())))",
        prepare: "true",
        plain: "/usr/bin/python3 main.py",
        file: "main.py",
    },
    Sum {
        id: 63,
        name: "JavaScript",
        source: "const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number); console.log(a + b)",
        prepare: "true",
        plain: "/usr/bin/node main.js",
        file: "main.js",
    },
    Sum {
        id: 72,
        name: "Ruby",
        source: "puts gets.split.map(&:to_i).sum",
        prepare: "true",
        plain: "/usr/bin/ruby main.rb",
        file: "main.rb",
    },
    Sum {
        id: 68,
        name: "PHP",
        source: "<?php echo array_sum(array_map('intval', explode(' ', fgets(STDIN)))), \"\\n\";",
        prepare: "true",
        plain: "/usr/bin/php main.php",
        file: "main.php",
    },
    Sum {
        id: 62,
        name: "Java",
        source: "import java.util.*; class Main { public static void main(String[] a) { Scanner s = new Scanner(System.in); \
                 System.out.println(s.nextInt() + s.nextInt()); } }",
        prepare: "javac Main.java",
        plain: "java Main",
        file: "Main.java",
    },
    Sum {
        id: 51,
        name: "C#",
        source: "using System; class Sum { static void Main() { var t = Console.ReadLine().Split(' '); \
                 Console.WriteLine(int.Parse(t[0]) + int.Parse(t[1])); } }",
        prepare: "mcs -optimize+ -out:main.exe main.cs",
        plain: "mono main.exe",
        file: "main.cs",
    },
    Sum {
        id: 78,
        name: "Kotlin",
        source: "fun main() { println(readLine()!!.split(\" \").sumOf { it.toInt() }) }",
        prepare: "java -jar /usr/local/lib/gavel/kotlin/node_modules/kotlin-compiler/lib/kotlin-compiler.jar \
                  -no-reflect -nowarn main.kt -d main.jar",
        plain: "java -Xbootclasspath/a:/usr/local/lib/gavel/kotlin/node_modules/kotlin-compiler/lib/kotlin-stdlib.jar \
                -jar main.jar",
        file: "main.kt",
    },
];

/// The engine without side by side: one workspace, one test after the other.
struct OneByOne(Sandbox);

impl OneByOne {
    async fn start() -> Self {
        let config = SandboxConfig { slots: SLOTS, languages: languages(), ..SandboxConfig::default() };
        Self(Sandbox::start(config).await.unwrap())
    }
}

#[async_trait]
impl Engine for OneByOne {
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        let mut workspace = self.0.workspace().await?;
        let Compilation::Ready(program) = workspace.compile(job.language, job.source.as_bytes()).await?
        else {
            panic!("the program compiles")
        };
        for test in &job.question.tests {
            let (stdin, expected) = (test.stdin.as_bytes(), test.expected_stdout.as_bytes());
            let run = workspace.run_expecting(&program, stdin, &RunLimits::default(), expected).await?;
            if observer(run).is_break() {
                break;
            }
        }
        Ok(Progress::Ran)
    }

    fn languages(&self) -> Vec<ServedLanguage> {
        let served = |language: &gavel_sandbox::InstalledLanguage| ServedLanguage {
            id: language.id,
            name: language.name.clone(),
            version: language.version.clone(),
            engine: "sandbox".to_owned(),
        };
        self.0.languages().iter().map(served).collect()
    }
}

fn languages() -> Languages {
    Languages::default().only(&SUMS.map(|sum| sum.id))
}

fn judge_config(url: &str) -> Config {
    let slots = SLOTS.to_string();
    let pairs = [("PORT", "0"), ("NATS_URL", url), ("JUDGE_SLOTS", &slots)];
    let mut config =
        Config::read(&mut Env::from_vars(pairs.map(|(name, value)| (name.into(), value.into()))));
    config.languages = languages();
    config
}

fn question() -> Question {
    let tests: Vec<_> = (0..TESTS).map(|n| (format!("{n} 35"), format!("{}\n", n + 35))).collect();
    let tests: Vec<_> = tests.iter().map(|(stdin, stdout)| (stdin.as_str(), stdout.as_str())).collect();
    Question { limits: Limits::new(10.0, 512.0).unwrap(), ..fixtures::question(&tests) }
}

fn main() -> ExitCode {
    gavel_sandbox::init::enter_if_asked();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let is_met = runtime.block_on(async {
        let rig = Rig::builder().nats(gavel_testkit::NatsServer::start().await).start().await;
        let config = judge_config(&rig.nats.url());
        let (one, side) = (OneByOne::start().await, SandboxEngine::start(&config).await.unwrap());
        let is_idle_met = idle(&one, &side, arguments.rounds).await;
        drop((one, side));
        full(&rig, &config, arguments.rounds.div_ceil(3), arguments.submissions).await && is_idle_met
    });
    ExitCode::from(u8::from(!is_met))
}

/// Ten tests of one submission while the other slot is idle. Returns whether the targets are met.
async fn idle(one: &OneByOne, side: &SandboxEngine, rounds: usize) -> bool {
    println!(
        "{:<12}{:>12}{:>12}{:>14}{:>10}{:>10}",
        "ten tests", "plain ms", "one by one", "side by side", "of plain", "of one"
    );
    let question = question();
    let mut is_met = true;
    for sum in SUMS {
        if !side.serves(LanguageId(sum.id)) {
            println!("{:<12} not installed", sum.name);
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(sum.file), sum.source).unwrap();
        shell(directory.path(), sum.prepare);
        // Compiles, so that only the runs are measured.
        execute(one, &sum, &question).await;
        execute(side, &sum, &question).await;
        let (mut plain_ms, mut one_ms, mut side_ms) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let command = format!("for n in 0 1 2 3 4 5 6 7 8 9; do echo $n 35 | {}; done", sum.plain);
            plain_ms.push(shell(directory.path(), &command));
            one_ms.push(execute(one, &sum, &question).await);
            side_ms.push(execute(side, &sum, &question).await);
        }
        let [plain, one, side] = [plain_ms, one_ms, side_ms].map(median);
        println!(
            "{:<12}{plain:>12.1}{one:>12.1}{side:>14.1}{:>10.2}{:>10.2}",
            sum.name,
            side / plain,
            side / one
        );
        metric(&format!("ten_{}_ms", sum.name), side, plain);
        if sum.name != "C" {
            is_met &= side / plain <= 0.6;
        }
    }
    println!("  target: at most 0.6 of ten plain runs in every language but C: {}", met(is_met));
    is_met
}

/// The submissions per second of a judge whose queue is never empty. Returns whether the target is met.
async fn full(rig: &Rig, config: &Config, rounds: usize, submissions: usize) -> bool {
    let (key, bytes) = Bundles::seal(&question());
    Bundles::new(rig.bus.clone()).put(&key, &bytes).await.unwrap();
    let (mut one_rate, mut side_rate) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for is_side_by_side in [false, true] {
            for n in 0..submissions {
                let sum = &SUMS[n % 2];
                let id = format!("s{round}-{is_side_by_side}-{n}");
                let submission = Submission { language: LanguageId(sum.id), ..fixtures::submission(&id) };
                let source = sum.source.to_owned();
                let (bundle, renewals, handed_on) = (key.clone(), 0, None);
                rig.publish(&Ready { submission, source, bundle, renewals, handed_on }).await;
            }
            if is_side_by_side {
                let engine = SandboxEngine::start(config).await.unwrap();
                side_rate.push(drain(rig, config, engine, submissions).await);
            } else {
                one_rate.push(drain(rig, config, OneByOne::start().await, submissions).await);
            }
        }
    }
    println!("one by one {one_rate:.1?}, side by side {side_rate:.1?}");
    let (one, side) = (median(one_rate), median(side_rate));
    let is_met = side / one >= 0.97;
    println!("{:<12}{one:>12.1} submissions/s one by one, {side:.1} side by side", "full judge");
    println!("  target: at least 0.97 of one by one: {:.3}: {}", side / one, met(is_met));
    metric("full_per_s", side, one);
    is_met
}

/// Starts a judge, and stops it after it has judged this many submissions. Returns the submissions per second.
async fn drain(rig: &Rig, config: &Config, engine: impl Engine, submissions: usize) -> f64 {
    let mut judged = rig.jetstream.client.subscribe("submission.judged.>").await.unwrap();
    rig.jetstream.client.flush().await.unwrap();
    let lifecycle = Lifecycle::default();
    let judge = gavel_judge::bind(config.clone(), engine).await.unwrap();
    let service = tokio::spawn(judge.run(lifecycle.clone()));
    let rate = tokio::time::timeout(ROUND_TIMEOUT, async {
        judged.next().await.unwrap();
        let began = Instant::now();
        for _ in 1..submissions {
            judged.next().await.unwrap();
        }
        f64::from(u32::try_from(submissions - 1).unwrap()) / began.elapsed().as_secs_f64()
    });
    let rate = rate.await.unwrap();
    lifecycle.stop.cancel();
    service.await.unwrap().unwrap();
    rate
}

/// Runs the ten tests. Returns the milliseconds that it took.
async fn execute(engine: &impl Engine, sum: &Sum, question: &Question) -> f64 {
    // Until the slots are idle, as they are for a submission that comes alone.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let job = Job { language: LanguageId(sum.id), source: sum.source, question, max_output_bytes: 4 << 20 };
    let mut runs = 0;
    let began = Instant::now();
    let executed = engine
        .execute(&job, &mut |run| {
            assert!(run.outcome.is_success() && run.matched_bytes > 0, "{run:?}");
            runs += 1;
            ControlFlow::Continue(())
        })
        .await;
    assert!(matches!(executed, Ok(Progress::Ran)) && runs == TESTS, "{executed:?}");
    milliseconds(began.elapsed())
}

/// Runs a command in a shell. Returns the milliseconds that it took.
fn shell(directory: &Path, command: &str) -> f64 {
    let began = Instant::now();
    let status = Command::new("sh")
        .args(["-c", command])
        .current_dir(directory)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{command}");
    milliseconds(began.elapsed())
}

fn metric(name: &str, value: f64, baseline: f64) {
    println!(
        "{{\"bench\":\"side_by_side\",\"metric\":\"{name}\",\"value\":{value:.4},\"baseline\":{baseline:.4},\
         \"ratio\":{:.4}}}",
        value / baseline
    );
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "NOT MET" }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
