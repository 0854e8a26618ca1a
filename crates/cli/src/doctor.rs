//! `gavel doctor`: checks an installation from end to end and names a remedy for each problem.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use gavel_describe::finding::{Finding, State};

mod convex;
mod ingress;
mod judge;
mod nats;

use crate::exit::{self, CommandError};
use crate::output::{self, escape_control};
use crate::session::NatsOptions;
use crate::terminal;

/// Check an installation from end to end
///
/// Checks NATS, the streams, the services, the ingress, Convex, and this machine as a judge, and names a remedy for each
/// problem. It submits no program, changes nothing in Convex, creates no consumer and acknowledges no message. It stores a
/// probe in each stream, which no service reads and which expires within seconds.
#[derive(Args)]
#[command(
    after_long_help = "Exit codes:\n  0   no problems\n  1   problems found\n  64  invalid arguments or configuration"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// URL of the ingress
    #[arg(long, value_name = "URL", env = "INGRESS_URL", default_value = "http://127.0.0.1:4001")]
    ingress: String,
    /// Key of the ingress; set INGRESS_KEY instead of this option where others can list processes
    #[arg(long, env = "INGRESS_KEY", hide_env_values = true)]
    key: Option<String>,
    /// URL of Convex; without it Convex is not checked
    #[arg(long, value_name = "URL", env = "CONVEX_SITE_URL")]
    convex: Option<String>,
    /// Do not check this machine as a judge
    #[arg(long)]
    no_judge: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs all checks and prints the findings.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("doctor", doctor(arguments))
}

async fn doctor(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let mut findings = nats::check(&arguments.nats).await;
    findings.extend(ingress::check(&arguments.ingress, arguments.key.as_deref()).await);
    findings.extend(convex::check(arguments.convex.as_deref()).await);
    if arguments.no_judge {
        findings.push(Finding::skipped("this machine as a judge", "not checked, because of --no-judge"));
    } else {
        findings.extend(judge::check().await);
    }
    let is_ok = !findings.iter().any(|finding| finding.state == State::Bad);
    if arguments.json {
        println!("{}", output::json_line(&serde_json::json!({ "ok": is_ok, "findings": findings })));
    } else {
        print!("{}", draw(&findings));
    }
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

fn draw(findings: &[Finding]) -> String {
    let (colours, columns) = (terminal::has_colours(), terminal::columns());
    let mut text = String::new();
    for finding in findings {
        let (word, colour) = match finding.state {
            State::Good => ("good", 32),
            State::Warning => ("warning", 33),
            State::Bad => ("bad", 31),
            State::Optional => ("optional", 2),
            State::Skipped => ("skipped", 2),
        };
        let word = format!("{word:<8}");
        let word = if colours { format!("\x1b[{colour}m{word}\x1b[0m") } else { word };
        let found = escape_control(&format!("{}: {}", finding.name, finding.found));
        writeln!(text, "{word} {}", terminal::wrap(&found, 9, columns)).expect("a String takes everything");
        if let Some(remedy) = &finding.remedy {
            let remedy = terminal::wrap(&escape_control(remedy), 11, columns);
            writeln!(text, "         → {remedy}").expect("a String takes everything");
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let summary = match (count(State::Bad), count(State::Warning)) {
        (0, 0) => "no problems found".to_owned(),
        (0, warnings) => format!("no problems found, {}", counted(warnings, "warning")),
        (bad, warnings) => format!("{}, {}", counted(bad, "problem"), counted(warnings, "warning")),
    };
    text + "\n" + &summary + "\n"
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
