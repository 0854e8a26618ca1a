//! `gavel submit`: posts a program as the Convex action would, and follows it to its end.

mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use gavel_bus::NatsConfig;
use gavel_config::Env;
use gavel_domain::{Secret, Status, SubmissionId, catalogue};
use gavel_inspect::{Inspector, LiveEvent};
use gavel_proto::Event;
use serde_json::{Value, json};

use crate::exit;
use crate::session::NatsOptions;
use show::Show;

/// Submits a program and follows it to its end. The key of an ingress that asks for one is `INGRESS_KEY` in the
/// environment, where no list of processes shows it.
///
/// Exit codes: 0 passed, 1 failed, 2 error, 3 no end in time, 64 wrong use, 69 the line cannot be reached or
/// refuses the submission.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The program.
    file: PathBuf,
    /// The question that it answers.
    #[arg(long, short)]
    question: String,
    /// The language, as a Judge0 id; by default told from the end of the file's name.
    #[arg(long, short)]
    language: Option<u32>,
    /// Which Convex functions the submission belongs to.
    #[arg(long, value_enum, default_value_t = KindArgument::Standard)]
    kind: KindArgument,
    /// Print one JSON object a step.
    #[arg(long)]
    json: bool,
    /// How long to follow the submission, in seconds.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// The submission's id; by default a new one.
    #[arg(long)]
    id: Option<String>,
    /// The ingress.
    #[arg(long, env = "INGRESS_URL", default_value = "http://127.0.0.1:4001")]
    ingress: String,
    #[command(flatten)]
    nats: NatsOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum KindArgument {
    Standard,
    Personalized,
}

/// How often the line that tells the time is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// The remedy for a missing connection.
const UNREACHABLE: &str = "NATS cannot be reached; is gavel up, and NATS_URL right?";

/// What is secret, and so comes by the environment.
struct Access {
    nats: NatsConfig,
    key: Option<Secret>,
}

impl Access {
    fn read(arguments: &Arguments) -> anyhow::Result<Self> {
        let mut env = Env::from_process();
        let nats = arguments.nats.config(&mut env, "submit", "tap");
        let key = env.secret("INGRESS_KEY", "a key of the ingress");
        env.finish()?;
        Ok(Self { nats, key })
    }
}

/// Submits and follows.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let (access, (id, body)) =
        match Access::read(arguments).and_then(|access| Ok((access, request(arguments)?))) {
            Ok(read) => read,
            Err(problem) => {
                eprintln!("gavel submit: {problem:#}");
                return ExitCode::from(gavel_runtime::EXIT_CONFIG);
            }
        };
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    match runtime.block_on(follow(arguments, &access, &id, &body)) {
        Ok(Some(Status::Passed)) => ExitCode::SUCCESS,
        Ok(Some(Status::Failed)) => ExitCode::from(exit::FAILED),
        Ok(Some(Status::Error)) => ExitCode::from(exit::ERROR),
        Ok(None) => {
            eprintln!("gavel submit: {id} has not ended within {} s", arguments.timeout);
            ExitCode::from(exit::TIMEOUT)
        }
        Err(failure) => {
            eprintln!("gavel submit: {failure:#}");
            ExitCode::from(exit::UNAVAILABLE)
        }
    }
}

/// The body that the Convex action would send.
fn request(arguments: &Arguments) -> anyhow::Result<(SubmissionId, Value)> {
    let file = arguments.file.display();
    let bytes = std::fs::read(&arguments.file).with_context(|| format!("cannot read {file}"))?;
    let source = String::from_utf8(bytes).map_err(|_| anyhow!("{file} is not UTF-8"))?;
    let language = arguments.language.or_else(|| {
        let extension = arguments.file.extension()?.to_str()?;
        catalogue::by_extension(extension).map(|id| id.0)
    });
    let language =
        language.with_context(|| format!("the language of {file} is not plain: say --language"))?;
    let id = arguments.id.clone().unwrap_or_else(|| format!("cli{:029x}", rand::random::<u128>() >> 12));
    let id = SubmissionId::new(id).context("--id cannot be a submission's id: it")?;
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

/// Posts and shows each step, until Convex has the verdict; nothing where that takes too long.
async fn follow(
    arguments: &Arguments,
    access: &Access,
    id: &SubmissionId,
    body: &Value,
) -> anyhow::Result<Option<Status>> {
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout);
    let inspector = Inspector::connect(&access.nats).await.context(UNREACHABLE)?;
    let mut live = inspector.live_events_of(id).await.context(UNREACHABLE)?;
    let mut show = Show::new(id.as_str(), arguments.json);
    post(arguments, access, body).await?;
    let mut verdict = None;
    loop {
        if Instant::now() >= deadline {
            return Ok(None);
        }
        show.tick();
        let Ok(event) = tokio::time::timeout(TICK, live.next()).await else { continue };
        let message = match event.context("NATS has closed the connection")? {
            LiveEvent::Message(message) => message,
            LiveEvent::Failed(error) => return Err(error).context("lost NATS"),
            _ => continue,
        };
        let event = message.event();
        show.step(message.event_name().unwrap_or_default(), event.as_ref().ok());
        match event {
            Ok(Event::Judged(judged)) => verdict = Some(judged.verdict.status),
            Ok(Event::Reported(_)) => return Ok(verdict),
            // A verdict may still follow, and be reported, unless reporting it is what failed.
            Ok(Event::DeadLetter(_)) if verdict.is_some() => return Ok(Some(Status::Error)),
            _ => {}
        }
    }
}

async fn post(arguments: &Arguments, access: &Access, body: &Value) -> anyhow::Result<()> {
    let url = format!("{}/v1/judge-question", arguments.ingress.trim_end_matches('/'));
    let mut request = reqwest::Client::new().post(&url).timeout(Duration::from_secs(20)).json(body);
    if let Some(key) = &access.key {
        request = request.bearer_auth(key.expose());
    }
    let answer = request.send().await.with_context(|| format!("{url} cannot be reached; is gavel up?"))?;
    if answer.status().as_u16() != 202 {
        let status = answer.status();
        bail!("the ingress answered {status}: {}", answer.text().await.unwrap_or_default());
    }
    Ok(())
}
