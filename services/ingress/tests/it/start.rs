//! Start-up: arguments, configuration, port.

use std::net::TcpListener;

use gavel_testkit::{NatsServer, Process, ServiceProcess, process};

use crate::rig::{Ingress, binary};

fn bare() -> process::Builder {
    Process::builder(env!("CARGO_BIN_EXE_gavel-ingress"))
}

#[tokio::test]
async fn all_configuration_problems_are_reported_together() {
    let invalid = [
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
    let (code, output) = bare().envs(invalid).output().await;
    assert_eq!(code, Some(64), "{output}");
    for (name, _) in invalid {
        assert!(output.contains(name), "{name} is missing in {output}");
    }
    assert!(!output.contains("panicked"), "{output}");
}

#[tokio::test]
async fn invalid_nats_url_exits_with_64() {
    for url in ["http://x", "nats://a-password@a b", "nats://127.0.0.1:99999", ",", "nats://a,,nats://b"] {
        let (code, output) = bare().env("PORT", "0").env("NATS_URL", url).output().await;
        assert_eq!(code, Some(64), "{url}: {output}");
        assert!(
            output.contains("NATS_URL must be a comma-separated list of URLs")
                && !output.contains("a-password"),
            "{url}: {output}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn value_that_is_not_utf8_is_a_problem_not_a_default() {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = std::ffi::OsStr::from_bytes(b"key\xff");
    let (code, output) = bare().env("INGRESS_KEYS", bytes).output().await;
    assert_eq!(code, Some(64), "{output}");
    assert!(output.contains("INGRESS_KEYS") && !output.contains("key\u{fffd}"), "{output}");
    let (code, output) = bare().arg(bytes).output().await;
    assert_eq!(code, Some(64), "{output}");
    assert!(output.contains("unknown argument"), "{output}");
}

#[tokio::test]
async fn help_and_version_are_printed_and_other_arguments_are_rejected() {
    for flag in ["--help", "-h"] {
        let (code, output) = bare().arg(flag).env("PORT", "http").output().await;
        assert_eq!(code, Some(0));
        for setting in
            ["PORT [4001]", "NATS_URL [nats://127.0.0.1:4222]", "MAX_SOURCE_BYTES [200000]", "INGRESS_KEYS"]
        {
            assert!(output.contains(setting), "{setting} is missing in {output}");
        }
    }
    for flag in ["--version", "-V"] {
        let expected = format!("gavel-ingress {}", gavel_runtime::VERSION);
        assert_eq!(bare().arg(flag).output().await, (Some(0), expected));
    }
    for arg in ["--port", "serve", ""] {
        let (code, output) = bare().arg(arg).output().await;
        assert_eq!(code, Some(64));
        assert!(output.contains("unknown argument") && output.contains("--help"), "{output}");
    }
}

#[tokio::test]
async fn help_does_not_show_a_secret() {
    let (_, output) = bare().arg("--help").env("INGRESS_KEYS", "the-secret-key").output().await;
    assert!(!output.contains("the-secret-key"), "{output}");
}

#[tokio::test]
async fn taken_port_exits_with_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, output) = binary("nats://127.0.0.1:1").env("PORT", address.port().to_string()).output().await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains(&format!("cannot listen on {address}: Address already in use")), "{output}");
}

#[tokio::test]
async fn last_line_of_a_wrong_configuration_says_what_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    let wrong = [
        ("NATS_URL", "http://nats", "must be a comma-separated list of URLs such as nats://HOST:4222"),
        ("NATS_NKEY", "/run/secrets/missing", "set it to the path of a file, or unset it"),
        ("NATS_NKEY", empty, "must be a user's seed"),
        ("NATS_CA", empty, "has no \"CERTIFICATE\" in PEM format"),
        ("INGRESS_KEYS_FILE", "/run/secrets/missing", "set it to the path of a file, or unset it"),
        ("INGRESS_KEYS_FILE", empty, "the file is empty"),
        ("BIND_ADDRESS", "192.0.2.1", "set BIND_ADDRESS to an address of this machine"),
    ];
    for (name, value, remedy) in wrong {
        let (code, output) = bare().env("PORT", "0").env(name, value).output().await;
        assert_eq!(code, Some(64), "{name}={value}: {output}");
        let last = output.lines().last().unwrap_or_default();
        assert!(last.contains(remedy), "{name}={value}: {output}");
    }
}

#[tokio::test]
async fn ready_option_reports_whether_the_service_is_ready() {
    let nats = NatsServer::start().await;
    nats.kill().await.unwrap();
    let ingress = ServiceProcess::start(binary(&nats.url())).await;
    let ask = async |port: String| bare().arg("--ready").env("PORT", port).output().await;
    let (code, output) = ask(ingress.address().port().to_string()).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("gavel-ingress: not ready: ") && output.contains("NATS"), "{output}");
    nats.restart().await.unwrap();
    ingress.wait_ready().await;
    assert_eq!(ask(ingress.address().port().to_string()).await, (Some(0), String::new()));
    let (code, output) = ask("1".to_owned()).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("no answer from http://127.0.0.1:1/readyz"), "{output}");
}

#[tokio::test]
async fn empty_setting_counts_as_unset() {
    let settings = ["INGRESS_KEYS", "MAX_SOURCE_BYTES", "LOG_LEVEL", "INSTANCE"].map(|name| (name, ""));
    let ingress = Ingress::start(binary("nats://127.0.0.1:1").envs(settings)).await;
    assert_eq!(ingress.get("/healthz").await.status, 200);
}
