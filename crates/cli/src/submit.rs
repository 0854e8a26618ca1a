//! `gavel submit`: posts a program as the Convex action does, and follows the submission until it is reported.

mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use gavel_bus::NatsConfig;
use gavel_config::Env;
use gavel_domain::{Secret, Status, SubmissionId, catalogue};
use gavel_inspect::LiveEvent;
use gavel_proto::Event;
use serde_json::{Value, json};

use crate::exit::{self, CommandError};
use crate::output;
use crate::session::{self, NatsOptions};
use show::Show;

/// Submit a program and follow it until Convex has the verdict
///
/// If the ingress requires a key, set INGRESS_KEY in the environment.
#[derive(Args)]
#[command(after_long_help = "Example:\n  gavel submit sum.py --question sum\n\n\
    Exit codes:\n  0   passed\n  1   failed\n  2   error\n  3   no verdict before the timeout\n  \
    64  invalid arguments or configuration\n  69  NATS or the ingress is unreachable, or the ingress rejects the submission")]
pub(crate) struct Arguments {
    /// File with the source code of the program
    file: PathBuf,
    /// Id of the question that the program answers
    #[arg(long, short, value_name = "ID")]
    question: String,
    /// Judge0 id of the language [default: by the file extension]
    #[arg(long, short, value_name = "ID")]
    language: Option<u32>,
    /// Kind of the submission: it selects the Convex routes that are called
    #[arg(long, value_enum, default_value_t = KindArgument::Standard)]
    kind: KindArgument,
    /// Print one JSON object for each step
    #[arg(long)]
    json: bool,
    /// Seconds to wait for the verdict
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
    /// Id of the submission [default: a new id]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// URL of the ingress
    #[arg(long, value_name = "URL", env = "INGRESS_URL", default_value = "http://127.0.0.1:4001")]
    ingress: String,
    #[command(flatten)]
    nats: NatsOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum KindArgument {
    Standard,
    Personalized,
}

/// How often the elapsed time on a terminal is updated.
const TICK: Duration = Duration::from_millis(100);
/// How much of an error answer is printed.
const MAX_ANSWER_CHARS: usize = 300;

/// Secrets. They come from the environment, because a list of processes shows arguments.
struct Access {
    nats: NatsConfig,
    key: Option<Secret>,
}

impl Access {
    fn read(arguments: &Arguments) -> Result<Self, CommandError> {
        let mut env = Env::from_process();
        let nats = arguments.nats.config(&mut env, "submit", "tap");
        let key = env.secret("INGRESS_KEY", "key of the ingress");
        env.finish().map_err(|problems| CommandError::configuration(&problems))?;
        Ok(Self { nats, key })
    }
}

/// Submits the program and waits for its verdict.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("submit", submit(arguments))
}

async fn submit(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let access = Access::read(arguments)?;
    let (id, body) = request(arguments).map_err(|error| CommandError::usage(format!("{error:#}")))?;
    match follow(arguments, &access, &id, &body).await? {
        Some(Status::Passed) => Ok(ExitCode::SUCCESS),
        Some(Status::Failed) => Ok(ExitCode::from(exit::FAILED)),
        Some(Status::Error) => Ok(ExitCode::from(exit::ERROR)),
        None => {
            let message = format!("no verdict for {id} within {} s", arguments.timeout);
            let remedy = format!("\"gavel trace {id}\" shows what it waits for.");
            Err(CommandError::new(exit::TIMEOUT, message).with_remedy(remedy))
        }
    }
}

/// Returns the id and the body of the request, as the Convex action sends it.
fn request(arguments: &Arguments) -> anyhow::Result<(SubmissionId, Value)> {
    let file = arguments.file.display();
    let bytes = std::fs::read(&arguments.file).with_context(|| format!("cannot read {file}"))?;
    let source = String::from_utf8(bytes).map_err(|_| anyhow!("{file} is not valid UTF-8"))?;
    let language = arguments.language.or_else(|| {
        let extension = arguments.file.extension()?.to_str()?;
        catalogue::by_extension(extension).map(|id| id.0)
    });
    let language = language
        .with_context(|| format!("cannot tell the language of {file} by its extension; set --language"))?;
    let id = arguments.id.clone().unwrap_or_else(|| format!("cli{:029x}", rand::random::<u128>() >> 12));
    let id = SubmissionId::new(id).context("--id is not a valid submission id: it")?;
    let kind = match arguments.kind {
        KindArgument::Standard => "standard",
        KindArgument::Personalized => "personalized",
    };
    let body = json!({
        "questionId": arguments.question,
        "submissionId": id.as_str(),
        "languageId": language,
        "sourceCode": source,
        "submissionKind": kind,
    });
    Ok((id, body))
}

/// Posts the submission and prints each step until Convex has the verdict. Returns `None` after the timeout.
async fn follow(
    arguments: &Arguments,
    access: &Access,
    id: &SubmissionId,
    body: &Value,
) -> Result<Option<Status>, CommandError> {
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout);
    let unavailable = |error: CommandError| CommandError { code: exit::UNAVAILABLE, ..error };
    let inspector = session::connect_inspector(&access.nats).await.map_err(unavailable)?;
    let mut live = inspector.live_events_of(id).await.map_err(|error| unavailable(error.into()))?;
    let mut show = Show::new(id.as_str(), arguments.json);
    post(arguments, access, body).await?;
    let mut verdict = None;
    loop {
        if Instant::now() >= deadline {
            return Ok(None);
        }
        show.tick();
        let Ok(event) = tokio::time::timeout(TICK, live.next()).await else { continue };
        let message = match event.context("NATS closed the connection")? {
            LiveEvent::Message(message) => message,
            LiveEvent::Failed(error) => return Err(unavailable(error.into())),
            _ => continue,
        };
        let event = message.event();
        show.step(message.event_name().unwrap_or_default(), event.as_ref().ok());
        match event {
            Ok(Event::Judged(judged)) => verdict = Some(judged.verdict.status),
            Ok(Event::Reported(_)) => return Ok(verdict),
            // Without a verdict, one may still follow and be reported. With one, reporting it has failed permanently.
            Ok(Event::DeadLetter(_)) if verdict.is_some() => return Ok(Some(Status::Error)),
            _ => {}
        }
    }
}

async fn post(arguments: &Arguments, access: &Access, body: &Value) -> anyhow::Result<()> {
    let url = format!("{}/v1/judge-question", arguments.ingress.trim_end_matches('/'));
    let mut request = gavel_http::client().build()?.post(&url).timeout(Duration::from_secs(20)).json(body);
    if let Some(key) = &access.key {
        request = request.bearer_auth(key.expose());
    }
    let answer = request.send().await.with_context(|| {
        format!("cannot connect to the ingress at {url}: start it with \"gavel up\", or set INGRESS_URL")
    })?;
    if answer.status().as_u16() != 202 {
        let status = answer.status();
        let text = output::first_line(&answer.text().await.unwrap_or_default(), MAX_ANSWER_CHARS);
        bail!("the ingress answered {status}: {text}");
    }
    Ok(())
}
