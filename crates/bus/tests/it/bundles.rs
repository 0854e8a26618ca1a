//! Bundles of any size are read completely or not at all, also with several writers.

use std::time::Duration;

use gavel_bus::topology::Stream;
use gavel_bus::{BundleError, Bundles};
use gavel_domain::event::BundleKey;
use gavel_domain::{Comparison, Limits, Question, TestCase, Visibility};
use gavel_testkit::NatsServer;

use crate::support::{Rig, settings, stored};

/// A question whose bundle has about this size. Its bytes differ, so that their order matters.
fn question(bytes: usize) -> Question {
    let text: String = (0..bytes).map(|at| char::from(b'a' + u8::try_from(at % 25).unwrap())).collect();
    let tests =
        vec![TestCase { visibility: Visibility::Hidden, stdin: text, expected_stdout: "1".to_owned() }];
    let comparison = Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true };
    Question { limits: Limits { cpu_time: Duration::from_secs(1), memory_bytes: 1 << 26 }, comparison, tests }
}

const PIECE: usize = 768 * 1024;

/// A question whose bundle has exactly this size.
fn exactly(bytes: usize) -> Question {
    let around = Bundles::seal(&question(bytes)).1.len() - bytes;
    let found = question(bytes - around);
    assert_eq!(Bundles::seal(&found).1.len(), bytes);
    found
}

async fn on_a_small_server() -> (Rig, Bundles) {
    let server = NatsServer::builder().max_payload(1_000_000).start().await;
    let rig = Rig::on(server, settings()).await;
    let bundles = Bundles::new(rig.bus.clone());
    (rig, bundles)
}

#[tokio::test]
async fn bundle_is_read_as_it_was_stored() {
    let (rig, bundles) = on_a_small_server().await;
    let sizes = [200, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 5 << 20];
    let mut pieces = 0;
    for bytes in sizes {
        let question = exactly(bytes);
        let (key, sealed) = Bundles::seal(&question);
        bundles.put(&key, &sealed).await.unwrap();
        bundles.put(&key, &sealed).await.unwrap();
        assert!(bundles.get(&key).await.unwrap() == question, "{bytes} bytes");
        pieces += bytes.div_ceil(PIECE);
    }
    let stream = rig.raw().await.get_stream(Stream::Bundles.name()).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, pieces as u64, "nothing is stored twice");
}

#[tokio::test]
async fn unknown_bundle_is_missing() {
    let (_rig, bundles) = on_a_small_server().await;
    let (key, _) = Bundles::seal(&question(10));
    assert!(matches!(bundles.get(&key).await, Err(BundleError::Missing)));
}

#[tokio::test]
async fn partial_bundle_is_missing_until_completed() {
    let (rig, bundles) = on_a_small_server().await;
    let question = exactly(3 * PIECE);
    let (key, sealed) = Bundles::seal(&question);
    // As a killed writer leaves it: the last piece is stored first.
    let last = sealed.slice(2 * PIECE..);
    let subject = |n| format!("bundle.{}.{}.{n}", key.day, key.digest);
    rig.raw().await.publish(subject(2), last).await.unwrap().await.unwrap();
    assert!(matches!(bundles.get(&key).await, Err(BundleError::Missing)));
    bundles.put(&key, &sealed).await.unwrap();
    assert!(bundles.get(&key).await.unwrap() == question);
}

#[tokio::test]
async fn bundle_with_other_bytes_is_damaged() {
    let (rig, bundles) = on_a_small_server().await;
    let raw = rig.raw().await;
    let put = async |key: &BundleKey, n: usize, bytes: &[u8]| {
        let subject = format!("bundle.{}.{}.{n}", key.day, key.digest);
        raw.publish(subject, bytes.to_vec().into()).await.unwrap().await.unwrap();
    };
    let (key, sealed) = Bundles::seal(&exactly(2 * PIECE));
    put(&key, 1, b"something else").await;
    bundles.put(&key, &sealed).await.unwrap();
    assert!(matches!(bundles.get(&key).await, Err(BundleError::Damaged)));
    for (n, first) in [&b""[..], b"\x01\0\0", b"\x01\0\0\0wrong", b"\0\0\0\0"].iter().enumerate() {
        let key = BundleKey { day: 1, digest: format!("{n:064x}") };
        put(&key, 0, first).await;
        assert!(matches!(bundles.get(&key).await, Err(BundleError::Damaged)), "{first:?}");
    }
    // An impossible number of pieces is not read piece by piece.
    let key = BundleKey { day: 2, digest: "0".repeat(64) };
    put(&key, 0, b"\xff\xff\xff\xffwrong").await;
    assert!(matches!(bundles.get(&key).await, Err(BundleError::Missing | BundleError::Damaged)));
}

#[tokio::test]
async fn bundle_can_be_stored_by_two_writers_at_once() {
    let (rig, one) = on_a_small_server().await;
    let two = Bundles::new(rig.connect().await);
    for n in 0..3 {
        let question = exactly(2 * PIECE + n);
        let (key, sealed) = Bundles::seal(&question);
        let (first, second) = tokio::join!(one.put(&key, &sealed), two.put(&key, &sealed));
        first.unwrap();
        second.unwrap();
        assert!(one.get(&key).await.unwrap() == question && two.get(&key).await.unwrap() == question);
        let piece = format!("bundle.{}.{}.0", key.day, key.digest);
        let piece = stored(&rig.raw().await, Stream::Bundles, &piece).await.unwrap();
        assert_eq!(piece.payload[..4], u32::try_from((2 * PIECE + n).div_ceil(PIECE)).unwrap().to_le_bytes());
    }
}
