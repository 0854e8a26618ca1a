//! How fast the ingress accepts, compared with bare `JetStream` publishes on the same server in the same run.
//!
//! The load, the ingress and the server share the machine's cores, as do the bare publishes and the server. At the end,
//! how long a 202 takes while two slots of a sandbox run programs that spin in 60 sessions each.

use std::time::{Duration, Instant};

use gavel_domain::LanguageId;
use gavel_runtime::Lifecycle;
use gavel_sandbox::{Compilation, Languages, RunLimits, Sandbox, SandboxConfig, TierChoice, Workspace};
use gavel_testkit::NatsServer;

use super::load::{Connection, Sample, bare_publishes, body, posts, write_once_publishes};
use super::report::{Bar, Report};
use super::services::ingress;
use crate::Options;

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

pub(crate) async fn run(options: &Options, report: &mut Report) {
    let count = options.submissions as usize;
    for _ in 0..options.rounds {
        beside_publishes(NatsServer::start().await, count, report).await;
    }
    report.finish("accept", "bare publish");
    beside_publishes(NatsServer::builder().sync_always().start().await, count / 10, report).await;
    report.finish("accept-sync-always", "bare publish");
    next_to_programs(NatsServer::start().await, report).await;
}

async fn beside_publishes(nats: NatsServer, count: usize, report: &mut Report) {
    let lifecycle = Lifecycle::default();
    let address = ingress(&nats, &lifecycle).await;
    posts(address, "warm", 16, count / 10).await;
    for connections in [1, 16, 64, 128] {
        let count = if connections == 1 { count / 4 } else { count };
        let bare = bare_publishes(&nats, connections, count).await;
        let same = write_once_publishes(&nats, connections, count).await;
        let accepted = posts(address, &format!("a{connections}x"), connections, count).await;
        let name = |metric: &str| format!("{metric}_at_{connections}");
        let bar = |at, bar| (connections == at).then_some(bar);
        report.ratio(&name("per_s"), accepted.per_s, bare.per_s, bar(64, Bar::AtLeast(0.5)));
        report.ratio(&name("p50_ms"), accepted.ms(50), bare.ms(50), bar(1, Bar::AtMost(1.3)));
        report.ratio(&name("p99_ms"), accepted.ms(99), bare.ms(99), bar(64, Bar::AtMost(1.3)));
        // What the condition and the headers of a submission cost at the server.
        report.ratio(&name("write_once_per_s"), same.per_s, bare.per_s, None);
    }
    lifecycle.stop.cancel();
}

/// Measures the latency of the 202 at a low rate, alone and next to programs that spin.
async fn next_to_programs(nats: NatsServer, report: &mut Report) {
    let tier = std::env::var("SANDBOX_TIER").map_or(Ok(TierChoice::default()), |name| name.parse());
    let languages = Languages::default().only(&[C.0]);
    let config = SandboxConfig { slots: SLOTS, tier: tier.unwrap(), languages, ..SandboxConfig::default() };
    let sandbox = match Sandbox::start(config).await {
        Ok(sandbox) => sandbox,
        Err(error) => return eprintln!("accept-next-to-programs is not measured: {error}"),
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
    for percent in [50, 90, 99] {
        report.ratio(&format!("p{percent}_ms"), next_to.ms(percent), alone.ms(percent), None);
    }
    report.finish("accept-next-to-programs", "alone");
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
        connection.post(&body(&format!("{run}{n}"))).await;
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
