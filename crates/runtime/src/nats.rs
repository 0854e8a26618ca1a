//! Settings of the connection to NATS, the same for services and for the command line.
//!
//! The variables have the names that the `nats` command uses, so that one environment works for both.

use std::path::PathBuf;

use axum::http::Uri;
use gavel_bus::NatsConfig;
use gavel_bus::identity::{Credentials, Tls};
use gavel_bus::topology::TopologySettings;
use gavel_config::Env;
use gavel_domain::Secret;

pub mod local_key;

/// Reads the settings of the connection for a role, such as "judge".
pub fn read(env: &mut Env, role: &str) -> NatsConfig {
    let url =
        env.get("NATS_URL", "nats://127.0.0.1:4222".to_owned(), "URLs of the NATS servers, comma-separated");
    if !url.split(',').all(is_nats_url) {
        // The value is left out: it may contain a password.
        env.add_problem(
            "NATS_URL must be a comma-separated list of URLs such as nats://HOST:4222".to_owned(),
        );
    }
    let make = env.get(
        "NATS_MAKE_STREAMS",
        true,
        "create missing streams and consumers; if false, run gavel streams as a user with that permission",
    );
    NatsConfig {
        url,
        name: format!("gavel-{role}"),
        credentials: credentials(env),
        tls: tls(env),
        inbox_prefix: Some(format!("_INBOX_{role}")),
        is_topology_managed: !make,
    }
}

/// Reads the settings for creating streams and consumers.
pub fn read_topology(env: &mut Env) -> TopologySettings {
    let defaults = TopologySettings::default();
    TopologySettings {
        replicas: env.number("NATS_REPLICAS", defaults.replicas, 1, 5, "replicas of each stream"),
        store_bytes: env.number(
            "NATS_STORE_BYTES",
            defaults.store_bytes,
            1 << 20,
            1 << 50,
            "maximum size of all streams together, in bytes",
        ),
        ack_wait: env.millis(
            "ACK_WAIT_MS",
            defaults.ack_wait,
            "time without a sign of progress after which a message is redelivered, in milliseconds",
        ),
    }
}

fn credentials(env: &mut Env) -> Option<Credentials> {
    let creds = secret_file(env, "NATS_CREDS", "path of a .creds file for NATS").map(Credentials::Creds);
    let seed = secret_file(env, "NATS_NKEY", "path of a file with the NKey seed for NATS");
    let user = env.optional("NATS_USER", "user name for NATS");
    let password = env.secret("NATS_PASSWORD", "password of NATS_USER");
    let pair = match (user, password) {
        (Some(user), Some(password)) => Some(Credentials::Password { user, password }),
        (None, None) => None,
        _ => {
            env.add_problem(
                "NATS_USER and NATS_PASSWORD must be set together: set both or neither".to_owned(),
            );
            None
        }
    };
    let mut given = [creds, seed.map(Credentials::NKey), pair].into_iter().flatten();
    let first = given.next();
    if given.next().is_some() {
        env.add_problem(
            "NATS_CREDS, NATS_NKEY and NATS_USER are mutually exclusive: set only one".to_owned(),
        );
    }
    if let Some(Err(error)) = first.as_ref().map(Credentials::check) {
        env.add_problem(format!("invalid credentials for NATS: {error}"));
    }
    first
}

fn tls(env: &mut Env) -> Tls {
    let ca = pem_file(
        env,
        "NATS_CA",
        "CERTIFICATE",
        "path of a PEM file with the certificate authorities that are trusted for NATS servers",
    );
    let certificate = pem_file(
        env,
        "NATS_CERT",
        "CERTIFICATE",
        "path of a PEM file with the client certificate, for NATS servers that require one",
    );
    let key =
        pem_file(env, "NATS_KEY", "PRIVATE KEY", "path of a PEM file with the private key of NATS_CERT");
    if certificate.is_some() != key.is_some() {
        env.add_problem("NATS_CERT and NATS_KEY must be set together: set both or neither".to_owned());
    }
    Tls { ca, own: certificate.zip(key) }
}

/// Reads the path in `name` and returns the content of the file.
fn secret_file(env: &mut Env, name: &'static str, help: &'static str) -> Option<Secret> {
    let path = env.optional(name, help)?;
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(Secret::new(text.trim())),
        Err(_) if is_secret_itself(&path) => {
            env.add_problem(format!(
                "{name} must be the path of a file with the secret, not the secret itself"
            ));
            None
        }
        Err(error) => {
            env.add_unreadable_file(name, &path, &error);
            None
        }
    }
}

/// Whether the variable is set to what its file should contain.
fn is_secret_itself(path: &str) -> bool {
    path.contains("-----BEGIN ") || Credentials::NKey(Secret::new(path)).check().is_ok()
}

/// Reads the path of a PEM file with at least one section of this kind. The client would keep retrying without it.
fn pem_file(env: &mut Env, name: &'static str, kind: &str, help: &'static str) -> Option<PathBuf> {
    let path = env.optional(name, help)?;
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains(&format!("{kind}-----")) => {}
        Ok(_) => env.add_problem(format!("{name}={path:?}: the file has no \"{kind}\" in PEM format")),
        Err(error) => env.add_unreadable_file(name, &path, &error),
    }
    Some(PathBuf::from(path))
}

/// Whether the NATS client accepts `text` as a server URL. A host without a scheme is allowed.
fn is_nats_url(text: &str) -> bool {
    let text = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let Ok(url) = text.parse::<Uri>() else { return false };
    let Some(authority) = url.authority() else { return false };
    // `port_u16` returns `None` both for an invalid port and for no port.
    let port_fits = authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some();
    matches!(url.scheme_str(), Some("nats" | "tls")) && !authority.host().is_empty() && port_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nats_url_is_validated() {
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
    fn role_has_its_own_inbox_prefix_and_one_kind_of_credentials() {
        let mut plain = env(&[]);
        let config = read(&mut plain, "judge");
        assert_eq!(
            (config.inbox_prefix.as_deref(), config.credentials, config.is_topology_managed),
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
    fn invalid_settings_are_reported_without_secrets() {
        let file = std::env::temp_dir().join(format!("gavel-seed-{}", std::process::id()));
        std::fs::write(&file, "SUnot-a-seed").unwrap();
        let path = file.to_str().unwrap();
        let (seed, _) = gavel_bus::identity::new_user();
        for (invalid, expected) in [
            (&[("NATS_USER", "judge")][..], "NATS_USER and NATS_PASSWORD"),
            (&[("NATS_PASSWORD", "a-secret")], "NATS_USER and NATS_PASSWORD"),
            (&[("NATS_USER", "u"), ("NATS_PASSWORD", "a-secret"), ("NATS_NKEY", path)], "set only one"),
            (&[("NATS_NKEY", path)], "must be a user's seed"),
            (&[("NATS_CREDS", path)], "as nsc writes them"),
            (&[("NATS_NKEY", "/no/such/file")], "NATS_NKEY=\"/no/such/file\": cannot read"),
            (&[("NATS_NKEY", seed.expose())], "NATS_NKEY must be the path of a file"),
            (&[("NATS_CA", "/no/such/file")], "NATS_CA=\"/no/such/file\": cannot read"),
            (&[("NATS_CA", path)], "the file has no \"CERTIFICATE\" in PEM format"),
            (&[("NATS_CERT", path)], "NATS_CERT and NATS_KEY"),
            (&[("NATS_URL", "nats://u:a-secret@h:x")], "NATS_URL must be"),
        ] {
            let mut env = env(invalid);
            read(&mut env, "judge");
            let text = env.finish().unwrap_err().to_string();
            assert!(
                text.contains(expected)
                    && ["a-secret", "SUnot", seed.expose()].iter().all(|secret| !text.contains(secret)),
                "{text}"
            );
        }
        std::fs::remove_file(file).unwrap();
    }
}
