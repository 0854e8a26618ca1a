//! The settings of `gavel up`: those of the four services, and its own.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use gavel_bus::identity::Credentials;
use gavel_config::{ConfigError, Env, Setting};
use gavel_domain::Secret;
use gavel_runtime::telemetry::TelemetryConfig;

use super::nats::{Access, NatsServerConfig, SyncInterval};
use crate::console;
use crate::session::{operator_name, settle_time};

/// The configurations of the services.
pub(crate) struct Services {
    pub(crate) ingress: gavel_ingress::Config,
    pub(crate) fetcher: gavel_fetcher::Config,
    pub(crate) judge: gavel_judge::Config,
    pub(crate) reporter: gavel_reporter::Config,
}

/// The settings of `gavel up`.
pub(crate) struct Settings {
    services: Services,
    nats: NatsServerConfig,
    nats_url: Option<String>,
    has_convex: bool,
    console_key: Option<Secret>,
    settle_time: Duration,
}

/// The port of mock Convex, counted from the port of the ingress. The services use the ports between.
const MOCK_CONVEX_PORT_OFFSET: u16 = 4;
/// The port of the console.
const CONSOLE_PORT_OFFSET: u16 = 5;

impl Settings {
    /// Reads the environment of this process.
    pub(crate) fn from_process() -> Result<(TelemetryConfig, Self), ConfigError> {
        let mut env = Env::from_process();
        let telemetry = TelemetryConfig::read(&mut env);
        let settings = Self::read(&mut env);
        env.finish()?;
        Ok((telemetry, settings))
    }

    fn read(env: &mut Env) -> Self {
        let nats_url = env.optional(
            "NATS_URL",
            "NATS servers, separated by commas; if not set, gavel up starts its own nats-server",
        );
        let convex = env.optional(
            "CONVEX_SITE_URL",
            "URL of Convex; if not set, gavel up starts a mock of Convex with sample questions",
        );
        let nats = NatsServerConfig {
            program: env.optional("NATS_SERVER", "nats-server executable to start; if not set, the one in .tools/bin or PATH"),
            data_dir: PathBuf::from(env.get(
                "DATA_DIR",
                ".gavel".to_owned(),
                "directory for the files of the nats-server that gavel up starts",
            )),
            port: env.get("NATS_PORT", 4222, "port of the nats-server that gavel up starts"),
            sync: env.get(
                "NATS_SYNC_INTERVAL",
                SyncInterval::always(),
                "when nats-server syncs to disk: always (a 202 survives a power cut), or an interval such as 1s (faster)",
            ),
        };
        let console_key = console::key(env);
        let port: u16 = env.number(
            "PORT",
            4001,
            1,
            u16::MAX - CONSOLE_PORT_OFFSET,
            "port of the ingress; fetcher, judge and reporter use the next three, and the console the fifth after it",
        );
        let mut problems = BTreeSet::new();
        let mut service_env = |offset: u16| {
            let mut service = env.unread_copy();
            service.set("PORT", &(port + offset).to_string());
            if convex.is_none() {
                service.set("CONVEX_SITE_URL", "http://127.0.0.1");
            }
            service
        };
        let mut envs = [0, 1, 2, 3].map(&mut service_env);
        let [ingress, fetcher, judge, reporter] = &mut envs;
        let services = Services {
            ingress: gavel_ingress::Config::read(ingress),
            fetcher: gavel_fetcher::Config::read(fetcher),
            judge: gavel_judge::Config::read(judge),
            reporter: gavel_reporter::Config::read(reporter),
        };
        // Reads the same variables as the reporter.
        let settle_time = settle_time(&mut env.unread_copy());
        for service in envs {
            problems.extend(service.problems().iter().cloned());
        }
        for problem in problems {
            env.add_problem(problem);
        }
        Self { services, nats, nats_url, has_convex: convex.is_some(), console_key, settle_time }
    }

    /// How long submissions in progress may take after a stop signal.
    pub(crate) fn grace(&self) -> Duration {
        self.services.ingress.service.grace
    }

    /// The address of mock Convex, or `None` if Convex is configured.
    pub(crate) fn mock_convex_address(&self) -> Option<SocketAddr> {
        let port = self.services.ingress.service.http.listen.port() + MOCK_CONVEX_PORT_OFFSET;
        (!self.has_convex).then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// The console: on the loopback address, whatever the services listen on.
    pub(crate) fn console(&self) -> gavel_console::Config {
        let port = self.services.ingress.service.http.listen.port() + CONSOLE_PORT_OFFSET;
        gavel_console::Config {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            hosts: Vec::new(),
            key: self.console_key.clone(),
            operator: operator_name(),
            settle_time: self.settle_time,
        }
    }

    /// The nats-server to start, or `None` if NATS is configured.
    pub(crate) fn own_nats(&self) -> Option<&NatsServerConfig> {
        self.nats_url.is_none().then_some(&self.nats)
    }

    /// Returns the services' configurations, connected to the nats-server and the mock that this process started.
    pub(crate) fn services(self, own_nats: Option<&Access>, mock_convex: Option<String>) -> Services {
        let mut services = self.services;
        // All services of one process share one limit of parallel calls to Convex.
        services.reporter.convex.permits = services.fetcher.convex.permits.clone();
        if let Some(access) = own_nats {
            let Services { ingress, fetcher, judge, reporter } = &mut services;
            let all = [&mut ingress.service, &mut fetcher.service, &mut judge.service, &mut reporter.service];
            for service in all {
                // The own server knows no other user, and its streams are created here.
                let nats = &mut service.nats;
                nats.url.clone_from(&access.url);
                nats.credentials = Some(Credentials::NKey(access.seed.clone()));
                nats.is_topology_managed = false;
            }
        }
        if let Some(url) = mock_convex {
            services.fetcher.convex.site_url.clone_from(&url);
            services.reporter.convex.site_url = url;
        }
        services
    }
}

/// Returns all variables with their defaults and descriptions, in the format of `deploy/default.env`.
pub(crate) fn describe() -> String {
    let mut env = Env::default();
    TelemetryConfig::read(&mut env);
    Settings::read(&mut env);
    let mut all: Vec<Setting> = env.settings().to_vec();
    let mut services = [Env::default(), Env::default(), Env::default(), Env::default()];
    let [ingress, fetcher, judge, reporter] = &mut services;
    gavel_ingress::Config::read(ingress);
    gavel_fetcher::Config::read(fetcher);
    gavel_judge::Config::read(judge);
    gavel_reporter::Config::read(reporter);
    for setting in services.iter().flat_map(Env::settings) {
        if !all.iter().any(|known| known.name == setting.name) {
            all.push(setting.clone());
        }
    }
    let lines = all.iter().map(|setting| {
        // The default number of slots depends on the machine.
        let default = if setting.name == "JUDGE_SLOTS" { "" } else { &setting.default };
        format!("# {}\n#{}={default}\n", setting.help, setting.name)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file is the documentation of the variables, so it must list each of them with its default.
    #[test]
    fn default_env_lists_all_settings() {
        let file = include_str!("../../../../deploy/default.env");
        let (_, variables) = file.split_once("\n\n").unwrap();
        assert_eq!(
            variables,
            describe(),
            "write the output of `gavel up --settings` below the file's first paragraph"
        );
    }
}
