//! `gavel keys`: creates the keys and certificates that `deploy/nats/nats-server.conf` needs.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use gavel_bus::identity;
use gavel_domain::Secret;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// The users of `deploy/nats/accounts.conf`.
const ROLES: [&str; 7] = ["ingress", "fetcher", "judge", "reporter", "tap", "deploy", "ops"];

/// Create the keys and the certificate for a NATS server
///
/// Writes an NKey seed for each role (ROLE.nk), a server certificate with its authority (server.pem, server.key, ca.pem),
/// and the environment of the server (nats.env), for deploy/nats/nats-server.conf. Existing files stay, except for
/// nats.env, which is written again.
///
/// Give each service its own seed and ca.pem only.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Directory to write to; created if it is missing
    directory: PathBuf,
    /// Host name or IP address of the server, for its certificate; can be repeated
    #[arg(long = "host", value_name = "HOST", default_values_t = ["127.0.0.1".to_owned(), "localhost".to_owned()])]
    hosts: Vec<String>,
}

/// Creates the files that are missing.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match make(arguments) {
        Ok(directory) => {
            println!(
                "keys written to {}; deploy/nats/nats-server.conf describes how to use them",
                directory.display()
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("gavel keys: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

fn make(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    let directory = &arguments.directory;
    let shown = directory.display();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("cannot create {shown}"))?;
    let directory = directory.canonicalize()?;
    let text = directory.to_str().with_context(|| format!("the path {shown} is not valid UTF-8"))?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    ensure!(
        text.chars().all(is_plain),
        "the path {text} has characters that nats.env cannot hold; use only a-z, A-Z, 0-9, \".\", \"_\", \"-\" and \"/\""
    );

    let mut env = format!(
        "# Written by gavel keys; nothing in here is secret. For deploy/nats/nats-server.conf.\n\
         NATS_LISTEN=127.0.0.1:4222\nNATS_STORE_DIR={text}/store\n\
         NATS_TLS_CERT={text}/server.pem\nNATS_TLS_KEY={text}/server.key\n"
    );
    for role in ROLES {
        let public = public_key(&directory.join(format!("{role}.nk")))?;
        writeln!(env, "NATS_NKEY_{}={public}", role.to_ascii_uppercase()).expect("a String takes everything");
    }
    let files = ["ca.pem", "server.pem", "server.key"].map(|name| directory.join(name));
    match files.iter().filter(|file| file.exists()).count() {
        0 => create_certificate(&arguments.hosts, &files)?,
        3 => {}
        _ => {
            bail!(
                "{text} has some of ca.pem, server.pem and server.key, but not all; remove those to create all three"
            )
        }
    }
    fs::write(directory.join("nats.env"), env).context("cannot write nats.env")?;
    Ok(directory)
}

/// Returns the public key of the seed in this file; creates the file if it is missing.
fn public_key(file: &Path) -> anyhow::Result<String> {
    if file.exists() {
        let seed = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        return identity::public_key(&Secret::new(seed.trim())).with_context(|| file.display().to_string());
    }
    let (seed, public) = identity::new_user();
    write_private(file, seed.expose())?;
    Ok(public)
}

/// Creates an authority, whose key is not kept, and a server certificate signed by it. Neither expires: an operator who
/// wants expiry uses an existing authority.
fn create_certificate(hosts: &[String], [ca_file, file, key_file]: &[PathBuf; 3]) -> anyhow::Result<()> {
    let named = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut params = named("Gavel NATS authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate()?;
    let ca = params.self_signed(&ca_key)?;
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(hosts).context("--host is not a host name or an IP address")?;
    params.distinguished_name.push(DnType::CommonName, "nats-server");
    let certificate = params.signed_by(&key, &issuer)?;
    fs::write(ca_file, ca.pem())?;
    fs::write(file, certificate.pem())?;
    write_private(key_file, &key.serialize_pem())
}

/// Creates a file that only its owner may read. Fails if the file exists.
fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(file)?;
        writeln!(file, "{}", text.trim_end())
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}
