//! The process: its arguments, its configuration, its port.

use std::net::TcpListener;

use gavel_testkit::{Process, process};

use crate::rig::{Ingress, binary};

fn bare() -> process::Builder {
    Process::builder(env!("CARGO_BIN_EXE_gavel-ingress"))
}

#[tokio::test]
async fn all_that_is_wrong_with_the_configuration_is_said_at_once() {
    let wrong = [
        ("PORT", "http"),
        ("BIND_ADDRESS", "localhost"),
        ("MAX_SOURCE_BYTES", "0"),
        ("RATE_LIMIT_PER_S", "-1"),
        ("RATE_LIMIT_BURST", "0"),
        ("NATS_REPLICAS", "6"),
        ("NATS_STORE_BYTES", "5GB"),
        ("ACK_WAIT_MS", "1.5"),
        ("SHUTDOWN_GRACE_MS", "86400001"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "a=b=c"),
        ("INGRESS_KEYS", " , "),
        ("NATS_URL", "nats://a b"),
    ];
    let (code, said) = bare().envs(wrong).output().await;
    assert_eq!(code, Some(64), "{said}");
    for (name, _) in wrong {
        assert!(said.contains(name), "{name} is missing in {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn an_address_of_nats_that_can_never_work_ends_it() {
    for url in ["http://x", "nats://a-password@a b", "nats://127.0.0.1:99999", ",", "nats://a,,nats://b"] {
        let (code, said) = bare().env("PORT", "0").env("NATS_URL", url).output().await;
        assert_eq!(code, Some(64), "{url}: {said}");
        assert!(said.contains("NATS_URL must be URLs") && !said.contains("a-password"), "{url}: {said}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_not_utf_8_is_a_problem_not_a_default() {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = std::ffi::OsStr::from_bytes(b"key\xff");
    let (code, said) = bare().env("INGRESS_KEYS", bytes).output().await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("INGRESS_KEYS") && !said.contains("key\u{fffd}"), "{said}");
    let (code, said) = bare().arg(bytes).output().await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("unknown argument"), "{said}");
}

#[tokio::test]
async fn help_and_version_are_told_and_other_arguments_are_refused() {
    for flag in ["--help", "-h"] {
        let (code, said) = bare().arg(flag).env("PORT", "http").output().await;
        assert_eq!(code, Some(0));
        for setting in
            ["PORT [4001]", "NATS_URL [nats://127.0.0.1:4222]", "MAX_SOURCE_BYTES [200000]", "INGRESS_KEYS"]
        {
            assert!(said.contains(setting), "{setting} is missing in {said}");
        }
    }
    for flag in ["--version", "-V"] {
        let expected = concat!("gavel-ingress ", env!("CARGO_PKG_VERSION"));
        assert_eq!(bare().arg(flag).output().await, (Some(0), expected.to_owned()));
    }
    for arg in ["--port", "serve", ""] {
        let (code, said) = bare().arg(arg).output().await;
        assert_eq!(code, Some(64));
        assert!(said.contains("unknown argument") && said.contains("--help"), "{said}");
    }
}

#[tokio::test]
async fn help_does_not_show_a_secret() {
    let (_, said) = bare().arg("--help").env("INGRESS_KEYS", "the-secret-key").output().await;
    assert!(!said.contains("the-secret-key"), "{said}");
}

#[tokio::test]
async fn a_port_that_is_taken_ends_it_with_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, said) = binary("nats://127.0.0.1:1").env("PORT", address.port().to_string()).output().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {address}: Address already in use")), "{said}");
}

#[tokio::test]
async fn an_empty_setting_is_none() {
    let settings = ["INGRESS_KEYS", "MAX_SOURCE_BYTES", "LOG_LEVEL", "INSTANCE"].map(|name| (name, ""));
    let ingress = Ingress::start(binary("nats://127.0.0.1:1").envs(settings)).await;
    assert_eq!(ingress.get("/healthz").await.status, 200);
}
