//! `gavel keys`: what a line needs to run on `deploy/nats/nats-server.conf`: a key for each role, and a certificate.

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

/// Makes the keys of a line's NATS: a seed for each role (ROLE.nk), a certificate for the server with the authority
/// that clients trust (server.pem, server.key, ca.pem), and the server's environment (nats.env).
///
/// What is there stays, except nats.env, which is written anew. Give each service its own seed and ca.pem, and nothing
/// else.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The directory to write to; it is made where it is missing.
    directory: PathBuf,
    /// A name or address by which services reach the server.
    #[arg(long = "host", default_values_t = ["127.0.0.1".to_owned(), "localhost".to_owned()])]
    hosts: Vec<String>,
}

/// Makes what is missing.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match make(arguments) {
        Ok(directory) => {
            println!(
                "the keys are in {}; deploy/nats/nats-server.conf says how to use them",
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
        .with_context(|| format!("cannot make {shown}"))?;
    let directory = directory.canonicalize()?;
    let text = directory.to_str().with_context(|| format!("{shown} is not UTF-8"))?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    ensure!(text.chars().all(is_plain), "{text} would need quotes in nats.env; take a plainer path");

    let mut env = format!(
        "# Written by gavel keys; nothing in here is secret. For deploy/nats/nats-server.conf.\n\
         NATS_LISTEN=127.0.0.1:4222\nNATS_STORE_DIR={text}/store\n\
         NATS_TLS_CERT={text}/server.pem\nNATS_TLS_KEY={text}/server.key\n"
    );
    for role in ROLES {
        let public = user(&directory.join(format!("{role}.nk")))?;
        writeln!(env, "NATS_NKEY_{}={public}", role.to_ascii_uppercase()).expect("a String takes everything");
    }
    let files = ["ca.pem", "server.pem", "server.key"].map(|name| directory.join(name));
    match files.iter().filter(|file| file.exists()).count() {
        0 => certificate(&arguments.hosts, &files)?,
        3 => {}
        _ => {
            bail!("ca.pem, server.pem and server.key belong together, and one is missing: remove the others")
        }
    }
    fs::write(directory.join("nats.env"), env).context("cannot write nats.env")?;
    Ok(directory)
}

/// The public key of the seed in this file, which is made where it is missing.
fn user(file: &Path) -> anyhow::Result<String> {
    if file.exists() {
        let seed = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        return identity::public_key(&Secret::new(seed.trim())).with_context(|| file.display().to_string());
    }
    let (seed, public) = identity::new_user();
    private(file, seed.expose())?;
    Ok(public)
}

/// An authority whose key is forgotten at once, and a certificate of it for the server. Neither ever expires: who
/// wants that, has an authority already.
fn certificate(hosts: &[String], [ca_file, file, key_file]: &[PathBuf; 3]) -> anyhow::Result<()> {
    let named = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut params = named("Gavel's authority for NATS");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate()?;
    let ca = params.self_signed(&ca_key)?;
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(hosts).context("--host is not a name or an address")?;
    params.distinguished_name.push(DnType::CommonName, "nats-server");
    let certificate = params.signed_by(&key, &issuer)?;
    fs::write(ca_file, ca.pem())?;
    fs::write(file, certificate.pem())?;
    private(key_file, &key.serialize_pem())
}

/// Writes a file that nobody else may read, and that is not there yet.
fn private(file: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(file)?;
        writeln!(file, "{}", text.trim_end())
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}
