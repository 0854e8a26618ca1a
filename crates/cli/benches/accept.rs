//! How fast the ingress accepts, compared with bare `JetStream` publishes on the same server in the same run.
//!
//! The load, the ingress and the server share the machine's cores, as do the bare publishes and the server.

#![expect(clippy::unwrap_used, reason = "a bench reports to the terminal only")]

mod support;

use gavel_runtime::Lifecycle;
use gavel_testkit::NatsServer;
use support::{bare_publishes, head, ingress, posts, show};

const COUNT: usize = 20_000;

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        measure("accept", NatsServer::start().await, COUNT).await;
        measure("accept-sync-always", NatsServer::builder().sync_always().start().await, COUNT / 10).await;
    });
}

async fn measure(bench: &str, nats: NatsServer, count: usize) {
    let lifecycle = Lifecycle::default();
    let address = ingress(&nats, &lifecycle).await;
    posts(address, "warm", 16, count / 10).await;
    head(bench, "bare publish");
    for in_flight in [1, 16, 64] {
        let bare = bare_publishes(&nats, in_flight, count).await;
        let accepted = posts(address, &format!("a{in_flight}x"), in_flight, count).await;
        show(bench, &format!("per_s_{in_flight}_in_flight"), accepted.per_s, bare.per_s);
        show(bench, &format!("p50_ms_{in_flight}_in_flight"), accepted.ms(50), bare.ms(50));
        show(bench, &format!("p99_ms_{in_flight}_in_flight"), accepted.ms(99), bare.ms(99));
    }
    lifecycle.stop.cancel();
}
