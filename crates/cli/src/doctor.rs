//! `gavel doctor`: whether a set-up can work, from end to end, and how to mend what cannot.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

mod convex;
mod ingress;
mod judge;
mod nats;

use crate::exit::{self, CommandError};
use crate::output::{self, escape_control};
use crate::session::NatsOptions;
use crate::terminal;

/// Checks a set-up from end to end, and says of each finding how to mend it. No check has an effect: nothing is
/// submitted, called back, made or acknowledged.
///
/// Exit codes: 0 all is well, 1 something is to be mended, 64 wrong use.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// The ingress.
    #[arg(long, env = "INGRESS_URL", default_value = "http://127.0.0.1:4001")]
    ingress: String,
    /// A key of the ingress.
    #[arg(long, env = "INGRESS_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Convex; not checked where it is not named.
    #[arg(long, env = "CONVEX_SITE_URL")]
    convex: Option<String>,
    /// Leave out this machine: it is none that judges.
    #[arg(long)]
    no_judge: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    name: String,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Good,
    /// It works, and is not as it should be.
    Warning,
    Bad,
    /// It is not there, and need not be.
    Spare,
    /// It was not looked at.
    Skipped,
}

impl Finding {
    fn good(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Good, found: found.into(), remedy: None }
    }

    fn is_good(&self) -> bool {
        self.state == State::Good
    }

    fn skipped(name: &str, found: &str) -> Self {
        Self { state: State::Skipped, ..Self::good(name, found) }
    }

    fn bad(name: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Bad, remedy: Some(remedy.into()), ..Self::good(name, found) }
    }

    fn warning(name: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Warning, ..Self::bad(name, found, remedy) }
    }
}

/// Checks.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("doctor", doctor(arguments))
}

async fn doctor(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let mut findings = nats::check(&arguments.nats).await;
    findings.extend(ingress::check(&arguments.ingress, arguments.key.as_deref()).await);
    findings.extend(convex::check(arguments.convex.as_deref()).await);
    if arguments.no_judge {
        findings.push(Finding::skipped("this machine as a judge", "--no-judge leaves it out"));
    } else {
        findings.extend(judge::check().await);
    }
    let is_well = !findings.iter().any(|finding| finding.state == State::Bad);
    if arguments.json {
        println!("{}", output::json_line(&serde_json::json!({ "ok": is_well, "findings": findings })));
    } else {
        print!("{}", draw(&findings));
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

fn draw(findings: &[Finding]) -> String {
    let (colours, columns) = (terminal::has_colours(), terminal::columns());
    let mut text = String::new();
    for finding in findings {
        let (word, colour) = match finding.state {
            State::Good => ("good", 32),
            State::Warning => ("warning", 33),
            State::Bad => ("bad", 31),
            State::Spare => ("spare", 2),
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
    let words = match (count(State::Bad), count(State::Warning)) {
        (0, 0) => "all is well".to_owned(),
        (0, warnings) => format!("it works; {warnings} to look at"),
        (bad, warnings) => format!("{bad} to mend, {warnings} to look at"),
    };
    text + "\n" + &words + "\n"
}
