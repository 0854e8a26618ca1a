//! What the commands for operators share: their run on a connection, times, and what they say.

use std::io::Write as _;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use gavel_bus::topology::TopologySettings;
use gavel_bus::{BeginError, Begun, Bus, Cause, NatsConfig};
use gavel_config::Env;
use gavel_domain::SubmissionId;
use gavel_runtime::EXIT_CONFIG;
use serde_json::json;

use crate::exit;
use crate::link::Link;
use crate::plain::harmless;

/// Longer than a connection takes, shorter than a person waits.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

async fn connect(config: &NatsConfig) -> anyhow::Result<Bus> {
    let bus = Bus::connect(config, TopologySettings::default()).await?;
    let connected = tokio::time::timeout(CONNECT_WAIT, bus.until_connected()).await;
    connected.context("NATS cannot be reached; is gavel up, and are NATS_URL and the credentials right?")?;
    Ok(bus)
}

/// How a command ended that NATS let come to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All is done.
    Done,
    /// Some of it is not.
    Refused,
}

/// Runs a command on a connection, and says what kept it from its end. It is told by when a call that had no answer has
/// taken effect at Convex or never will.
pub(crate) fn run(
    command: &'static str,
    link: &Link,
    work: impl AsyncFnOnce(Bus, Duration) -> anyhow::Result<End>,
) -> ExitCode {
    let mut env = Env::from_process();
    let config = link.read(&mut env, command, "ops");
    // As the reporters have them: they say how late Convex may apply what was given up.
    let settles_after = gavel_config::request_timeout(&mut env) + gavel_convex::running_linger(&mut env);
    if let Err(problems) = env.finish() {
        eprintln!("gavel {command}: the configuration has problems:\n{problems}");
        return ExitCode::from(EXIT_CONFIG);
    }
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    match runtime.block_on(async { work(connect(&config).await?, settles_after).await }) {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Refused) => ExitCode::from(exit::FAILED),
        Err(failure) => {
            eprintln!("gavel {command}: {failure:#}");
            ExitCode::from(exit::UNAVAILABLE)
        }
    }
}

/// A time in the past, said as an age (`90s`, `1h`, `2days`) or as it is (`2026-01-31T12:00:00Z`).
#[derive(Clone, Copy)]
pub(crate) struct Since(pub(crate) SystemTime);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = humantime::parse_rfc3339_weak(text) {
            return Ok(Self(time));
        }
        let age = humantime::parse_duration(text);
        let age = age.map_err(
            |_| "it is neither an age such as 90s, 1h or 2days nor a UTC time such as 2026-01-31T12:00:00Z",
        )?;
        SystemTime::now().checked_sub(age).map(Self).ok_or_else(|| "it is too long ago".to_owned())
    }
}

/// A time as people and machines read it: UTC, to the millisecond.
pub(crate) fn time(at: SystemTime) -> String {
    // Years beyond 9999, which only a foreign message can name, have no such form.
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(at.min(end)).to_string()
}

/// Whoever works here, for the records.
pub(crate) fn who() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    harmless(&format!("{user}@{}", host.trim()))
}

/// Prints a line. Whoever reads us may have gone away; the exit code still tells.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Says what became of one submission; an error where NATS is at fault, so that the rest is not tried.
pub(crate) fn say_begun(
    id: &SubmissionId,
    begun: Result<Begun, BeginError>,
    dry: bool,
    as_json: bool,
) -> anyhow::Result<End> {
    let end = if begun.is_ok() { End::Done } else { End::Refused };
    match begun {
        Err(error) if error.is_outage() => bail!("{id}: {}", Cause::from(error)),
        Err(error) if as_json => {
            say(&json!({ "id": id.as_str(), "outcome": "refused", "reason": error.to_string() }).to_string());
        }
        Err(error) => eprintln!("{id}: refused: {error}"),
        Ok(begun) => {
            let outcome = match begun {
                _ if dry => "would begin",
                Begun { resumed: true, .. } => "resumed",
                Begun { resumed: false, .. } => "begun",
            };
            let (generation, stage) = (begun.generation.number(), begun.from.as_str());
            if as_json {
                let object = json!({ "id": id.as_str(), "outcome": outcome, "generation": generation, "stage": stage });
                say(&object.to_string());
            } else {
                say(&format!("{id}: generation {generation} {outcome}, at the {stage}"));
            }
        }
    }
    Ok(end)
}

impl End {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Done { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_age_or_a_date() {
        let ago = |text: &str| Since::from_str(text).map(|since| since.0.elapsed().unwrap().as_secs());
        assert_eq!((ago("90s"), ago("1h"), ago("2days")), (Ok(90), Ok(3_600), Ok(172_800)));
        let date = Since::from_str("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(time(date.0), "2026-01-31T12:00:00.000Z");
        for bad in ["", "yesterday", "-1h", "1", "99999999999999999999days"] {
            assert!(ago(bad).is_err(), "{bad}");
        }
    }
}
