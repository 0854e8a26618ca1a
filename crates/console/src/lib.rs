//! The console: pages and a JSON API to watch the pipeline, to find the cause of a problem, and to put it right.
//!
//! One connection to NATS serves all readers. A task reads the stored events of the last hour and then follows them
//! ([`feed`]); another one collects the state of the pipeline ([`collect`]). Requests read what these tasks hold, or ask
//! `gavel-inspect`. The console stores nothing: after a restart it reads the streams again.
//!
//! It is read-only unless it is started with a key. Requests from other sites are refused ([`guard`]).

mod actions;
mod collect;
mod dead_letters;
mod error;
mod feed;
mod guard;
mod histogram;
mod history;
mod live;
mod nats;
mod overview;
mod pages;
mod protect;
mod query;
mod rejudge;
mod routes;
mod source;
mod state;
mod submission;
mod submissions;
mod table;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gavel_bus::Bus;
use gavel_domain::Secret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use state::State;

/// The shortest key that is accepted, in characters.
pub const MIN_KEY_CHARS: usize = 16;

/// How a console is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; with port 0, the kernel picks a free port.
    pub listen: SocketAddr,
    /// Names, besides those of this machine itself, under which browsers reach the console, without a port.
    pub hosts: Vec<String>,
    /// The key that permits changes and shows sources. Without one the console is read-only.
    pub key: Option<Secret>,
    /// Who makes the changes, for the records of them.
    pub operator: String,
    /// How long Convex may take to apply a callback that got no answer.
    pub settle_time: Duration,
}

/// A console that is bound to its port. Nothing is served before [`Console::run`].
pub struct Console {
    listener: TcpListener,
    state: Arc<State>,
}

impl Console {
    /// Binds the port. The connection to NATS need not be up.
    ///
    /// # Errors
    /// Returns an error if the address is in use, or is not one of this machine.
    pub fn bind(config: &Config, bus: Bus) -> io::Result<Self> {
        let listener = gavel_runtime::listen(config.listen)?;
        Ok(Self { listener, state: Arc::new(State::new(config, bus)) })
    }

    /// Returns the address that it listens on.
    ///
    /// # Errors
    /// Returns an error if the operating system cannot report the address.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Self { listener, state } = self;
        if let Ok(address) = listener.local_addr() {
            info!(service = "console", %address, writable = state.guard.is_writable(), "listening");
        }
        let feed = tokio::spawn(feed::follow(Arc::clone(&state)));
        let collecting = tokio::spawn(collect::collect(Arc::clone(&state)));
        let stopping = state.stopping.clone();
        let ended = async {
            stop.cancelled().await;
            // Open event streams end, so that the server need not wait for them.
            stopping.cancel();
        };
        tokio::join!(gavel_runtime::serve(listener, routes::router(state), stop.clone()), ended);
        feed.abort();
        collecting.abort();
    }
}
