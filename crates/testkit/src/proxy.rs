//! A wire to NATS that can be cut, silenced, or made to withhold or lose answers at a known moment.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::NatsServer;
use crate::wait::WaitError;

/// What the server's acknowledgement of a publish has in it, and nothing else that it says.
const ACKNOWLEDGED: &[u8] = b"\"seq\":";

/// How the wire is.
#[derive(Clone, Debug, Default)]
struct Wire {
    /// What the server says is withheld from the moment on in which a client says this.
    words: Option<String>,
    held: bool,
    /// The server has stored what it was told, and its answer is withheld.
    answered: bool,
    /// Nothing passes, in either direction.
    silent: bool,
    /// Connections made before a cut have ended.
    cuts: u64,
}

/// A wire on a port of its own. Dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wire: watch::Sender<Wire>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// A wire to this server, also after its restarts.
    ///
    /// # Panics
    /// Where no port can be taken.
    pub async fn start(server: &NatsServer) -> Self {
        Self::try_start(server).await.expect("a free port")
    }

    /// A wire to this server, also after its restarts.
    ///
    /// # Errors
    /// Where no port can be taken.
    pub async fn try_start(server: &NatsServer) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let wire = watch::Sender::new(Wire::default());
        let listening = tokio::spawn(listen(listener, server.port(), wire.clone()));
        Ok(Self { port, wire, listening })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Withholds what the server says from the moment on in which a client says these words; the server hears
    /// them.
    pub fn hold_answers_after(&self, words: &str) {
        self.wire.send_modify(|wire| wire.words = Some(words.to_owned()));
    }

    /// Waits until the server has stored what was said with these words.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    pub async fn wait_held(&self, timeout: Duration) -> Result<(), WaitError> {
        let mut wire = self.wire.subscribe();
        let answered = wire.wait_for(|wire| wire.held && wire.answered);
        let answered = tokio::time::timeout(timeout, answered).await;
        let what = || "the words to be said and answered".to_owned();
        answered.map(drop).map_err(|_| WaitError::TimedOut {
            what: what(),
            after: timeout,
            seen: String::new(),
        })
    }

    /// Ends the connections, so that what was withheld is lost; new ones are open.
    pub fn cut(&self) {
        self.wire.send_modify(|wire| *wire = Wire { cuts: wire.cuts + 1, ..Wire::default() });
    }

    /// Passes on what was withheld.
    pub fn release(&self) {
        self.wire.send_modify(|wire| wire.held = false);
    }

    /// Lets nothing pass in either direction and tells nobody, or lets all that has come since pass.
    pub fn silence(&self, silent: bool) {
        self.wire.send_modify(|wire| wire.silent = silent);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, to: u16, wire: watch::Sender<Wire>) {
    while let Ok((client, _)) = listener.accept().await {
        // A server that is away looks like a connection that is closed at once.
        let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
        // Only latency is lost where this fails.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        tokio::spawn(pass(client, server, wire.clone()));
    }
}

async fn pass(client: TcpStream, server: TcpStream, wire: watch::Sender<Wire>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut state = wire.subscribe();
    let cuts = state.borrow().cuts;
    tokio::select! {
        () = ask(from_client, to_server, wire.clone()) => {}
        () = answer(from_server, to_client, wire, cuts) => {}
        _ = state.wait_for(|state| state.cuts > cuts) => {}
    }
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wire: watch::Sender<Wire>) {
    let mut state = wire.subscribe();
    let mut piece = vec![0; 64 << 10];
    let mut said = String::new();
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        said.push_str(&String::from_utf8_lossy(&piece[..count]));
        wire.send_if_modified(|wire| {
            let now = wire.words.as_deref().is_some_and(|words| said.contains(words));
            if now {
                wire.words = None;
                wire.held = true;
                wire.answered = false;
            }
            now
        });
        // The words may come in two pieces.
        said.drain(..said.floor_char_boundary(said.len().saturating_sub(200)));
        let open = state.wait_for(|wire| !wire.silent).await.is_ok();
        if !open || to.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wire: watch::Sender<Wire>, cuts: u64) {
    let mut piece = vec![0; 64 << 10];
    let mut withheld = Vec::new();
    let mut state = wire.subscribe();
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
            wire.send_if_modified(|wire| !std::mem::replace(&mut wire.answered, true));
        }
    }
}
