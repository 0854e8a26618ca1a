//! How fast the ingress accepts, compared with bare `JetStream` publishes on the same server in the same run.
//!
//! The load, the ingress and the server share the machine's cores, as do the bare publishes and the server. At the end,
//! how long a 202 takes while two slots of a sandbox run programs that spin in 60 sessions each.

#![expect(clippy::unwrap_used, reason = "a bench reports to the terminal only")]

mod support;

use std::time::{Duration, Instant};

use gavel_domain::LanguageId;
use gavel_runtime::Lifecycle;
use gavel_sandbox::{Compilation, Languages, RunLimits, Sandbox, SandboxConfig, TierChoice, Workspace};
use gavel_testkit::NatsServer;
use support::{Connection, Sample, bare_publishes, body, head, ingress, posts, show};

const COUNT: usize = 20_000;
/// The slots with spinning programs, and how long they spin.
const SLOTS: usize = 2;
const SPIN_TIME: Duration = Duration::from_secs(20);
/// To the scheduler, each session may be a separate group.
const SPINS: &[u8] = b"#include <unistd.h>
int main(){
    for (int i = 0; i < 60; i++) if (fork() == 0) { setsid(); for (;;); }
    for (;;);
}";
const C: LanguageId = LanguageId(50);

fn main() {
    // This executable is also the init of its own sandbox.
    gavel_sandbox::init::enter_if_asked();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        measure("accept", NatsServer::start().await, COUNT).await;
        measure("accept-sync-always", NatsServer::builder().sync_always().start().await, COUNT / 10).await;
        next_to_programs(NatsServer::start().await).await;
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

/// Measures the latency of the 202 at a low rate, alone and next to programs that spin.
async fn next_to_programs(nats: NatsServer) {
    let tier = std::env::var("SANDBOX_TIER").map_or(Ok(TierChoice::default()), |name| name.parse());
    let languages = Languages::default().only(&[C.0]);
    let config = SandboxConfig { slots: SLOTS, tier: tier.unwrap(), languages, ..SandboxConfig::default() };
    let sandbox = match Sandbox::start(config).await {
        Ok(sandbox) => sandbox,
        Err(error) => return println!("\naccept-next-to-programs: not measured: {error}"),
    };
    let lifecycle = Lifecycle::default();
    let address = ingress(&nats, &lifecycle).await;
    let alone = paced(address, "alone").await;
    let mut spinning = Vec::new();
    for _ in 0..SLOTS {
        let mut workspace = sandbox.workspace().await.unwrap();
        spinning.push(tokio::spawn(async move { spin(&mut workspace).await }));
    }
    // The programs are compiled by then.
    tokio::time::sleep(SPIN_TIME / 4).await;
    let next_to = paced(address, "nextto").await;
    head("accept-next-to-programs", "alone");
    for percent in [50, 90, 99] {
        show("accept-next-to-programs", &format!("p{percent}_ms"), next_to.ms(percent), alone.ms(percent));
    }
    for program in spinning {
        program.abort();
    }
    lifecycle.stop.cancel();
}

/// Posts 20 submissions a second for ten seconds.
async fn paced(address: std::net::SocketAddr, run: &str) -> Sample {
    let (mut connection, began) = (Connection::open(address).await, Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let mut times = Vec::new();
    for n in 0..200 {
        let due = ticks.tick().await.into_std();
        connection.post(&body(run, n)).await;
        times.push(due.elapsed());
    }
    Sample::new(times, began.elapsed())
}

async fn spin(workspace: &mut Workspace) {
    let Compilation::Ready(program) = workspace.compile(C, SPINS).await.unwrap() else {
        panic!("the program does not compile")
    };
    let limits = RunLimits {
        cpu_time: SPIN_TIME * 10,
        wall_time: SPIN_TIME * 10,
        max_waiting: SPIN_TIME * 10,
        ..RunLimits::default()
    };
    workspace.run(&program, bytes::Bytes::new(), &limits).await.unwrap();
}
