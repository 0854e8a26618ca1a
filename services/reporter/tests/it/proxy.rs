//! A wire to NATS whose answers can be withheld or lost at a known moment.

use gavel_testkit::NatsServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::PATIENCE;

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
    /// Connections made before a cut have ended.
    cuts: u64,
}

/// A wire on a port of its own.
pub(crate) struct Proxy {
    port: u16,
    wire: watch::Sender<Wire>,
}

impl Proxy {
    pub(crate) async fn start(server: &NatsServer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = watch::Sender::new(Wire::default());
        let (shared, to) = (wire.clone(), server.port());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let (asking, wire) = (shared.clone(), shared.clone());
                tokio::spawn(async move {
                    let cuts = wire.borrow().cuts;
                    let mut state = wire.subscribe();
                    tokio::select! {
                        () = ask(from_client, to_server, asking) => {}
                        () = answer(from_server, to_client, wire.clone(), cuts) => {}
                        _ = state.wait_for(|state| state.cuts > cuts) => {}
                    }
                });
            }
        });
        Self { port, wire }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Withholds what the server says from the moment on in which a client says these words; the server hears
    /// them.
    pub(crate) fn hold_answers_after(&self, words: &str) {
        self.wire.send_modify(|wire| wire.words = Some(words.to_owned()));
    }

    /// Waits until the server has stored what was said with these words.
    pub(crate) async fn wait_held(&self) {
        let mut wire = self.wire.subscribe();
        let answered = wire.wait_for(|wire| wire.held && wire.answered);
        tokio::time::timeout(PATIENCE, answered).await.expect("the words are said and answered").unwrap();
    }

    /// Ends the connections, so that what was withheld is lost; new ones are open.
    pub(crate) fn lose_answers(&self) {
        self.wire.send_modify(|wire| *wire = Wire { cuts: wire.cuts + 1, ..Wire::default() });
    }

    /// Passes on what was withheld.
    pub(crate) fn release(&self) {
        self.wire.send_modify(|wire| wire.held = false);
    }
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wire: watch::Sender<Wire>) {
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
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wire: watch::Sender<Wire>, cuts: u64) {
    let mut piece = vec![0; 64 << 10];
    let mut withheld = Vec::new();
    let mut state = wire.subscribe();
    loop {
        tokio::select! {
            read = from.read(&mut piece) => match read {
                Ok(count @ 1..) => withheld.extend_from_slice(&piece[..count]),
                _ => return,
            },
            changed = state.changed() => if changed.is_err() { return },
        }
        let (held, cut) = {
            let now = state.borrow_and_update();
            (now.held, now.cuts > cuts)
        };
        if cut {
            return;
        }
        if !held {
            if to.write_all(&withheld).await.is_err() {
                return;
            }
            withheld.clear();
        } else if withheld.windows(ACKNOWLEDGED.len()).any(|window| window == ACKNOWLEDGED) {
            wire.send_if_modified(|wire| !std::mem::replace(&mut wire.answered, true));
        }
    }
}
