//! A TCP proxy in front of NATS that can be cut, silenced, or made to withhold or lose answers at a known moment.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::NatsServer;
use crate::wait::WaitError;

/// Text that occurs in the server's acknowledgement of a publish and in no other message of it.
const ACKNOWLEDGED: &[u8] = b"\"seq\":";

/// What the proxy does now.
#[derive(Clone, Debug, Default)]
struct ProxyState {
    /// Once a client sends this text, the server's data is withheld.
    text: Option<String>,
    held: bool,
    /// The server has stored a message, and its acknowledgement is withheld.
    answered: bool,
    /// No data passes in either direction.
    silent: bool,
    /// How often connections were cut. A cut ends the connections made before it.
    cuts: u64,
}

/// A proxy on its own port. Dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: watch::Sender<ProxyState>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to this server, which also works after the server restarts.
    ///
    /// # Panics
    /// Panics if it cannot listen.
    pub async fn start(server: &NatsServer) -> Self {
        Self::try_start(server).await.expect("a free port")
    }

    /// Starts a proxy to this server, which also works after the server restarts.
    ///
    /// # Errors
    /// Returns an error if it cannot listen.
    pub async fn try_start(server: &NatsServer) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = watch::Sender::new(ProxyState::default());
        let listening = tokio::spawn(listen(listener, server.port(), shared.clone()));
        Ok(Self { port, shared, listening })
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Withholds the server's data as soon as a client sends this text, which still reaches the server.
    pub fn hold_answers_after(&self, text: &str) {
        self.shared.send_modify(|shared| shared.text = Some(text.to_owned()));
    }

    /// Waits until the text was sent and the server has stored its message.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] after `timeout`.
    pub async fn wait_held(&self, timeout: Duration) -> Result<(), WaitError> {
        let mut shared = self.shared.subscribe();
        let answered = shared.wait_for(|shared| shared.held && shared.answered);
        let answered = tokio::time::timeout(timeout, answered).await;
        let what = || "the text to be sent and acknowledged".to_owned();
        answered.map(drop).map_err(|_| WaitError::TimedOut {
            what: what(),
            after: timeout,
            seen: String::new(),
        })
    }

    /// Ends the connections, so that withheld data is lost. New connections work.
    pub fn cut(&self) {
        self.shared
            .send_modify(|shared| *shared = ProxyState { cuts: shared.cuts + 1, ..ProxyState::default() });
    }

    /// Passes withheld data on.
    pub fn release(&self) {
        self.shared.send_modify(|shared| shared.held = false);
    }

    /// Stops all data in both directions without closing connections, or passes on what has been stopped.
    pub fn silence(&self, silent: bool) {
        self.shared.send_modify(|shared| shared.silent = silent);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, to: u16, shared: watch::Sender<ProxyState>) {
    while let Ok((client, _)) = listener.accept().await {
        // If the server is down, the client sees a connection that is closed at once.
        let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
        // A failure costs only latency.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        tokio::spawn(forward(client, server, shared.clone()));
    }
}

async fn forward(client: TcpStream, server: TcpStream, shared: watch::Sender<ProxyState>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut state = shared.subscribe();
    let cuts = state.borrow().cuts;
    tokio::select! {
        () = pass_requests(from_client, to_server, shared.clone()) => {}
        () = pass_answers(from_server, to_client, shared, cuts) => {}
        _ = state.wait_for(|state| state.cuts > cuts) => {}
    }
}

async fn pass_requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: watch::Sender<ProxyState>) {
    let mut state = shared.subscribe();
    let mut piece = vec![0; 64 << 10];
    let mut sent = String::new();
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        sent.push_str(&String::from_utf8_lossy(&piece[..count]));
        shared.send_if_modified(|shared| {
            let now = shared.text.as_deref().is_some_and(|text| sent.contains(text));
            if now {
                shared.text = None;
                shared.held = true;
                shared.answered = false;
            }
            now
        });
        // The text may arrive in two pieces.
        sent.drain(..sent.floor_char_boundary(sent.len().saturating_sub(200)));
        let open = state.wait_for(|shared| !shared.silent).await.is_ok();
        if !open || to.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}

async fn pass_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: watch::Sender<ProxyState>,
    cuts: u64,
) {
    let mut piece = vec![0; 64 << 10];
    let mut withheld = Vec::new();
    let mut state = shared.subscribe();
    let mut silent = state.borrow().silent;
    loop {
        tokio::select! {
            read = from.read(&mut piece), if !silent => match read {
                Ok(count @ 1..) => withheld.extend_from_slice(&piece[..count]),
                _ => return,
            },
            changed = state.changed() => if changed.is_err() { return },
        }
        let now = state.borrow_and_update().clone();
        silent = now.silent;
        if now.cuts > cuts {
            return;
        }
        if !now.held && !silent {
            if to.write_all(&withheld).await.is_err() {
                return;
            }
            withheld.clear();
        } else if now.held && withheld.windows(ACKNOWLEDGED.len()).any(|window| window == ACKNOWLEDGED) {
            shared.send_if_modified(|shared| !std::mem::replace(&mut shared.answered, true));
        }
    }
}
