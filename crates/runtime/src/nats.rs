//! Reading where NATS is and who we are to it: the same for services and for the command line.
//!
//! The names are those of the `nats` command, so that one environment does for both.

use std::path::PathBuf;

use axum::http::Uri;
use gavel_bus::NatsConfig;
use gavel_bus::identity::{Credentials, Tls};
use gavel_bus::topology::TopologySettings;
use gavel_config::Env;
use gavel_domain::Secret;

/// Reads it for a role, such as "judge".
pub fn read(env: &mut Env, role: &str) -> NatsConfig {
    let url =
        env.get("NATS_URL", "nats://127.0.0.1:4222".to_owned(), "the NATS servers, separated by commas");
    if !url.split(',').all(is_nats_url) {
        // Not repeated: it may hold a password.
        env.add_problem("NATS_URL must be URLs such as nats://HOST:4222, separated by commas".to_owned());
    }
    let make = env.get(
        "NATS_MAKE_STREAMS",
        true,
        "make streams and consumers that are missing; false: gavel streams makes them, as a user who may",
    );
    NatsConfig {
        url,
        name: format!("gavel-{role}"),
        credentials: credentials(env),
        tls: tls(env),
        inbox: Some(format!("_INBOX_{role}")),
        only_finds: !make,
    }
}

/// Reads the settings of streams and consumers.
pub fn read_topology(env: &mut Env) -> TopologySettings {
    let defaults = TopologySettings::default();
    TopologySettings {
        replicas: env.number("NATS_REPLICAS", defaults.replicas, 1, 5, "copies of each stream"),
        store_bytes: env.number(
            "NATS_STORE_BYTES",
            defaults.store_bytes,
            1 << 20,
            1 << 50,
            "bytes that all streams together may take",
        ),
        ack_wait: env.millis(
            "ACK_WAIT_MS",
            defaults.ack_wait,
            "silence after which work in hand is given to another instance",
        ),
    }
}

fn credentials(env: &mut Env) -> Option<Credentials> {
    let creds = file(env, "NATS_CREDS", "a .creds file to log in to NATS with").map(Credentials::Creds);
    let seed = file(env, "NATS_NKEY", "a file with the seed of an NKey to log in to NATS with");
    let user = env.optional("NATS_USER", "a name to log in to NATS with");
    let password = env.secret("NATS_PASSWORD", "the password of NATS_USER");
    let pair = match (user, password) {
        (Some(user), Some(password)) => Some(Credentials::Password { user, password }),
        (None, None) => None,
        _ => {
            env.add_problem("NATS_USER and NATS_PASSWORD go together: set both, or neither".to_owned());
            None
        }
    };
    let mut given = [creds, seed.map(Credentials::NKey), pair].into_iter().flatten();
    let first = given.next();
    if given.next().is_some() {
        env.add_problem(
            "NATS_CREDS, NATS_NKEY and NATS_USER are different ways to log in: set one".to_owned(),
        );
    }
    if let Some(Err(error)) = first.as_ref().map(Credentials::check) {
        env.add_problem(format!("the credentials for NATS are not valid: {error}"));
    }
    first
}

fn tls(env: &mut Env) -> Tls {
    let ca = path(env, "NATS_CA", "a PEM file with the authorities that NATS servers must be certified by");
    let certificate =
        path(env, "NATS_CERT", "a PEM file with our own certificate, for servers that ask for one");
    let key = path(env, "NATS_KEY", "a PEM file with the key of NATS_CERT");
    if certificate.is_some() != key.is_some() {
        env.add_problem("NATS_CERT and NATS_KEY go together: set both, or neither".to_owned());
    }
    Tls { ca, own: certificate.zip(key) }
}

/// What a file holds, as a secret.
fn file(env: &mut Env, name: &'static str, help: &'static str) -> Option<Secret> {
    let path = env.optional(name, help)?;
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(Secret::new(text.trim())),
        Err(error) => {
            env.add_problem(format!("{name}={path:?} cannot be read: {error}"));
            None
        }
    }
}

/// A file that must be there; the client would go on trying without it.
fn path(env: &mut Env, name: &'static str, help: &'static str) -> Option<PathBuf> {
    let path = PathBuf::from(env.optional(name, help)?);
    if let Err(error) = std::fs::File::open(&path) {
        env.add_problem(format!("{name}={} cannot be read: {error}", path.display()));
    }
    Some(path)
}

/// Whether the client will take it for a server. A name without a scheme is one, too.
fn is_nats_url(text: &str) -> bool {
    let text = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let Ok(url) = text.parse::<Uri>() else { return false };
    let Some(authority) = url.authority() else { return false };
    // A port that is none is not told apart from no port.
    let port_fits = authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some();
    matches!(url.scheme_str(), Some("nats" | "tls")) && !authority.host().is_empty() && port_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_nats_is_checked_before_it_is_used() {
        let good = [
            "nats://127.0.0.1:4222",
            "tls://n.example",
            "n1",
            "n1:4223",
            "nats://[::1]:4222",
            "nats://u:p@h",
        ];
        for url in good {
            assert!(is_nats_url(url), "{url}");
        }
        let bad =
            ["", "nats://", "nats://:4222", "http://x", "nats://a b", "nats://h:99999", "h:x", "nats://[::1"];
        for url in bad {
            assert!(!is_nats_url(url), "{url}");
        }
    }

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::from_vars(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn a_role_has_inboxes_of_its_own_and_logs_in_in_one_way() {
        let mut plain = env(&[]);
        let config = read(&mut plain, "judge");
        assert_eq!(
            (config.inbox.as_deref(), config.credentials, config.only_finds),
            (Some("_INBOX_judge"), None, false)
        );
        assert!(plain.finish().is_ok());
        let mut named = env(&[("NATS_USER", "judge"), ("NATS_PASSWORD", "a-password")]);
        let config = read(&mut named, "judge");
        assert!(matches!(config.credentials, Some(Credentials::Password { .. })));
        assert!(!format!("{config:?}").contains("a-password"));
        assert!(named.finish().is_ok());
    }

    #[test]
    fn what_can_never_work_is_said_without_what_is_secret() {
        let file = std::env::temp_dir().join(format!("gavel-seed-{}", std::process::id()));
        std::fs::write(&file, "SUnot-a-seed").unwrap();
        let path = file.to_str().unwrap();
        for (wrong, word) in [
            (&[("NATS_USER", "judge")][..], "NATS_USER and NATS_PASSWORD"),
            (&[("NATS_PASSWORD", "a-secret")], "NATS_USER and NATS_PASSWORD"),
            (&[("NATS_USER", "u"), ("NATS_PASSWORD", "a-secret"), ("NATS_NKEY", path)], "set one"),
            (&[("NATS_NKEY", path)], "must be a user's seed"),
            (&[("NATS_CREDS", path)], "as nsc writes them"),
            (&[("NATS_NKEY", "/no/such/file")], "NATS_NKEY=\"/no/such/file\" cannot be read"),
            (&[("NATS_CA", "/no/such/file")], "NATS_CA=/no/such/file cannot be read"),
            (&[("NATS_CERT", path)], "NATS_CERT and NATS_KEY"),
            (&[("NATS_URL", "nats://u:a-secret@h:x")], "NATS_URL must be"),
        ] {
            let mut env = env(wrong);
            read(&mut env, "judge");
            let text = env.finish().unwrap_err().to_string();
            assert!(text.contains(word) && !text.contains("a-secret") && !text.contains("SUnot"), "{text}");
        }
        std::fs::remove_file(file).unwrap();
    }
}
