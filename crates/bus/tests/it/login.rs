//! The ways to log in: user and password, creds file, certificate. (`NKeys` are tested with the command line.)

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gavel_bus::identity::{Credentials, Tls};
use gavel_bus::{Bus, NatsConfig};
use gavel_domain::Secret;
use gavel_testkit::{NatsServer, TEST_TIMEOUT, wait_until};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer};

use crate::support::settings;

async fn connect(config: NatsConfig) -> Bus {
    Bus::connect(&NatsConfig { name: "test".to_owned(), ..config }, settings()).await.unwrap()
}

async fn until_in(bus: &Bus) {
    wait_until("the connection", TEST_TIMEOUT, async || bus.is_connected()).await.unwrap();
}

/// Waits until the server has rejected a connection.
async fn until_refused(server: &NatsServer, says: &str) {
    server.process().wait_log(says, TEST_TIMEOUT, |line| line.contains(says)).await.unwrap();
}

#[tokio::test]
async fn login_with_user_and_password() {
    let server = NatsServer::builder().config("authorization { user: judge, password: right }").start().await;
    let with = |password: &str| NatsConfig {
        url: server.url(),
        credentials: Some(Credentials::Password {
            user: "judge".to_owned(),
            password: Secret::new(password),
        }),
        ..NatsConfig::default()
    };
    let wrong = connect(with("wrong")).await;
    until_refused(&server, "authentication error").await;
    assert!(!wrong.is_connected());
    until_in(&connect(with("right")).await).await;
}

/// A JWT as nsc creates it: claims about one key, signed by another.
fn jwt(issuer: &KeyPair, subject: &KeyPair, claims: &str) -> String {
    let (by, about) = (issuer.public_key(), subject.public_key());
    let claims =
        format!(r#"{{"jti":"{about}","iat":1700000000,"iss":"{by}","sub":"{about}","nats":{claims}}}"#);
    let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn login_with_creds_file() {
    let (operator, account, system, user) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_user());
    let limits =
        r#""limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"conn":-1,"leaf":-1}"#;
    let of_account = format!(r#"{{"type":"account","version":2,{limits}}}"#);
    let of_user = r#"{"type":"user","version":2,"subs":-1,"data":-1,"payload":-1}"#;
    let preloaded = [&account, &system]
        .map(|about| format!("{}: \"{}\"", about.public_key(), jwt(&operator, about, &of_account)));
    let config = format!(
        "operator: \"{}\"\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {} }}",
        jwt(&operator, &operator, r#"{"type":"operator","version":2}"#),
        system.public_key(),
        preloaded.join("\n"),
    );
    let server = NatsServer::builder().config(&config).start().await;
    let creds = |signed_by: &KeyPair| {
        let (token, seed) = (jwt(signed_by, &user, of_user), user.seed().unwrap());
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let credentials = Some(Credentials::Creds(Secret::new(text)));
        NatsConfig { url: server.url(), credentials, ..NatsConfig::default() }
    };
    let stranger = connect(creds(&KeyPair::new_account())).await;
    until_refused(&server, "authentication error").await;
    assert!(!stranger.is_connected());
    until_in(&connect(creds(&account)).await).await;
}

#[tokio::test]
async fn login_with_client_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(path("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for name in ["server", "client"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(path(&format!("{name}.pem")), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        std::fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    let (certificate, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let config =
        format!("tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {ca:?}, verify: true }}");
    let server = NatsServer::builder().config(&config).start().await;
    let with = |own| NatsConfig {
        // The server requires TLS, whatever the URL says.
        url: server.url(),
        tls: Tls { ca: Some(path("ca.pem")), own },
        ..NatsConfig::default()
    };
    let without = connect(with(None)).await;
    until_refused(&server, "TLS handshake error").await;
    assert!(!without.is_connected());
    until_in(&connect(with(Some((path("client.pem"), path("client.key"))))).await).await;
}
