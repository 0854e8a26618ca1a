//! `gavel streams`: creates the streams and consumers, for services that may not create them, and corrects existing ones.

mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use gavel_bus::{Bus, MissingStream, NatsConfig};
use gavel_config::Env;
use gavel_inspect::{Difference, InspectError, Inspector};
use gavel_runtime::nats::{self, local_key};

use self::report::{Report, State};
use crate::exit::{self, CommandError};

/// How long to wait before the server is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Create the streams and consumers that are missing, or correct those that differ
///
/// Without options, existing ones stay unchanged, except that what a later version needs is added. Use it where services may
/// not create streams (NATS_MAKE_STREAMS=false): run it before the services, as a user with that permission, with the variables
/// of the services (NATS_URL, NATS_NKEY, NATS_REPLICAS, NATS_STORE_BYTES, ACK_WAIT_MS).
///
/// With --dry-run it lists what differs from the configuration that this version wants, and changes nothing. With --apply it
/// corrects that, too. It makes no change that would delete messages, and prints what to do instead. Services may run meanwhile.
#[derive(Args)]
#[command(
    after_long_help = "Exit codes:\n  0   all streams and consumers exist that the services need; with --dry-run and --apply: nothing \
    differs\n  1   with --dry-run: something differs; with --apply: something still differs\n  64  invalid arguments or \
    configuration\n  69  NATS is unreachable, has no space for a stream or, without --dry-run and --apply, denies permission\n  \
    77  NATS denies permission"
)]
pub(crate) struct Arguments {
    /// List what differs and what --apply would do, and change nothing
    #[arg(long, group = "mode")]
    dry_run: bool,
    /// Correct what differs, without deleting messages
    #[arg(long, group = "mode")]
    apply: bool,
    /// Print JSON, with --dry-run or --apply
    #[arg(long, requires = "mode")]
    json: bool,
    /// Seconds to wait for NATS
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("streams", streams(arguments))
}

async fn streams(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let mut env = Env::from_process();
    let config = local_key::add(nats::read(&mut env, "deploy"));
    let config = NatsConfig { is_topology_managed: false, ..config };
    let settings = nats::read_topology(&mut env);
    env.finish().map_err(|problems| CommandError::configuration(&problems))?;
    let bus = Bus::connect(&config, settings).await.map_err(anyhow::Error::from)?;
    let timeout = Duration::from_secs(arguments.timeout);
    if !arguments.dry_run && !arguments.apply {
        return create_missing(&bus, &settings, timeout).await;
    }
    let connected = tokio::time::timeout(timeout, bus.connection().wait_connected()).await;
    connected.map_err(|_| not_created(&bus, timeout))?;
    let inspector = Inspector::of(&bus);
    let report = if arguments.apply {
        apply(&bus, &inspector, &settings, timeout).await?
    } else {
        Report::of_plan(compare(&inspector, &settings, timeout).await?)
    };
    report.print(arguments.json);
    Ok(if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// Creates what is missing and prints each stream with its consumers.
async fn create_missing(
    bus: &Bus,
    settings: &TopologySettings,
    timeout: Duration,
) -> Result<ExitCode, CommandError> {
    let missing = create(bus, timeout).await?;
    for stream in &missing {
        eprintln!("gavel streams: {stream}");
    }
    let differences = compare(&Inspector::of(bus), settings, timeout).await?;
    for difference in differences.iter().filter(|difference| !difference.is_missing()) {
        let remedy = "see \"gavel streams --dry-run\"";
        eprintln!("gavel streams: {}: {}: {remedy}", difference.name(), difference.problem());
    }
    let exists = |stream: &Stream| missing.iter().all(|each| each.stream != *stream);
    for stream in Stream::ALL.into_iter().filter(exists) {
        let durables = Durable::ALL.into_iter().filter(|durable| durable.stream() == stream);
        let names: Vec<_> = durables.map(Durable::name).collect();
        println!("{:<12}{}", stream.name(), names.join(" "));
    }
    Ok(ExitCode::SUCCESS)
}

/// Corrects what differs and creates what is missing.
async fn apply(
    bus: &Bus,
    inspector: &Inspector,
    settings: &TopologySettings,
    timeout: Duration,
) -> Result<Report, CommandError> {
    let before = compare(inspector, settings, timeout).await?;
    let corrections = until_answered(timeout, async || inspector.correct_topology(settings).await).await?;
    for stream in create(bus, timeout).await? {
        eprintln!("gavel streams: {stream}");
    }
    let after = compare(inspector, settings, timeout).await?;
    let mut report = Report::default();
    for difference in before.iter().filter(|it| it.is_missing() && !after.contains(it)) {
        report.add(difference, State::Created);
    }
    for difference in corrections.done.iter().filter(|it| !after.contains(it)) {
        report.add(difference, State::Changed);
    }
    // An optional stream that the server has no space for is no failure.
    for difference in after.iter().filter(|it| !it.is_optional()) {
        let refused = corrections.refused.iter().find(|(refused, _)| refused == difference);
        report.add(
            difference,
            match (&difference.obstacle, refused) {
                (Some(obstacle), _) => State::Manual(obstacle.clone()),
                (None, Some((_, error))) => State::Refused(error.to_string()),
                (None, None) => State::Refused("another program has changed it at the same time".to_owned()),
            },
        );
    }
    Ok(report)
}

async fn compare(
    inspector: &Inspector,
    settings: &TopologySettings,
    timeout: Duration,
) -> Result<Vec<Difference>, InspectError> {
    until_answered(timeout, async || inspector.topology_differences(Some(settings)).await).await
}

/// Asks again while the server does not answer.
async fn until_answered<T>(
    timeout: Duration,
    ask: impl AsyncFn() -> Result<T, InspectError>,
) -> Result<T, InspectError> {
    let asked_until = Instant::now() + timeout;
    loop {
        match ask().await {
            Err(InspectError::NoAnswer) if Instant::now() < asked_until => {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            result => return result,
        }
    }
}

/// Creates what is missing. Returns the optional streams that nats-server has no space for.
async fn create(bus: &Bus, timeout: Duration) -> Result<Vec<MissingStream>, CommandError> {
    let created = tokio::time::timeout(timeout, bus.ensure_topology()).await;
    created.map_err(|_| not_created(bus, timeout))
}

fn not_created(bus: &Bus, timeout: Duration) -> CommandError {
    let reason = match (bus.connection().check_permissions(), bus.check_topology()) {
        (Err(refusal), _) => refusal,
        _ if !bus.is_connected() => {
            "cannot connect to NATS: check NATS_URL, the credentials and NATS_CA".to_owned()
        }
        (Ok(()), Err(problem)) => problem,
        (Ok(()), Ok(())) => "the server does not create them: check that JetStream is enabled".to_owned(),
    };
    CommandError::new(
        exit::UNAVAILABLE,
        format!("streams not created within {} s: {reason}", timeout.as_secs()),
    )
}
