//! Clients that keep an HTTP server waiting, as an attacker or a broken network does.

use std::{net::SocketAddr, time::Duration};

use futures::StreamExt as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
};

/// How many connections are opened at a time.
const OPENED_TOGETHER: usize = 64;
/// How long opening one may take; a server that is full does not accept it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of a body is sent.
const BODY_PART_BYTES: usize = 64 << 10;
/// How many responses a client that does not read asks for. Many more would be a flood of requests.
const UNREAD_RESPONSES: usize = 20;

/// What a client does; each keeps its connection open.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    /// Sends nothing.
    Silent,
    /// Sends a part of a head.
    UnfinishedHead,
    /// Sends a part of a submission, without a key.
    UnfinishedBody,
    /// Sends a part of a submission, with a valid key.
    UnfinishedBodyWithKey,
    /// Reads no response.
    NeverReads,
    /// Sends a part of a submission, with a valid key, and closes its direction.
    HalfClosed,
}

const BEHAVIOURS: [Behaviour; 6] = [
    Behaviour::Silent,
    Behaviour::UnfinishedHead,
    Behaviour::UnfinishedBody,
    Behaviour::UnfinishedBodyWithKey,
    Behaviour::NeverReads,
    Behaviour::HalfClosed,
];

/// Open connections of slow clients; dropping it closes them.
#[derive(Debug)]
pub struct SlowConnections {
    streams: Vec<TcpStream>,
}

impl SlowConnections {
    /// Opens `count` connections to an ingress, the same number of each kind. `key` is a valid key. Connections that
    /// cannot be opened are left out.
    pub async fn open(address: SocketAddr, count: usize, key: &str) -> Self {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // If it fails, fewer connections can be opened.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        let opening = (0..count).map(|n| {
            let opened = open(address, BEHAVIOURS[n % BEHAVIOURS.len()], key);
            async move { tokio::time::timeout(OPEN_TIMEOUT, opened).await.ok()?.ok() }
        });
        let opened = futures::stream::iter(opening).buffer_unordered(OPENED_TOGETHER);
        Self { streams: opened.filter_map(std::future::ready).collect().await }
    }

    /// The number of connections that the server has not closed.
    #[must_use]
    pub fn count_open(&self) -> usize {
        let is_open = |stream: &&TcpStream| {
            let mut buffer = [0; 4096];
            loop {
                match stream.try_read(&mut buffer) {
                    Ok(1..) => {}
                    Ok(0) => return false,
                    Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
                }
            }
        };
        self.streams.iter().filter(is_open).count()
    }
}

async fn open(address: SocketAddr, behaviour: Behaviour, key: &str) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if matches!(behaviour, Behaviour::NeverReads) {
        socket.set_recv_buffer_size(4096)?;
    }
    let mut stream = socket.connect(address).await?;
    let head = |key: &str| {
        format!(
            "POST /v1/judge-question HTTP/1.1\r\nhost: gavel\r\ncontent-type: application/json\r\n{key}\
             content-length: 1000000\r\n\r\n"
        )
    };
    let body = " ".repeat(BODY_PART_BYTES);
    let key = format!("x-code-exec-key: {key}\r\n");
    let text = match behaviour {
        Behaviour::Silent => String::new(),
        Behaviour::UnfinishedHead => {
            format!("POST /v1/judge-question HTTP/1.1\r\nx-long: {}", "a".repeat(12_000))
        }
        Behaviour::UnfinishedBody => head("") + &body,
        Behaviour::UnfinishedBodyWithKey | Behaviour::HalfClosed => head(&key) + &body,
        Behaviour::NeverReads => "GET /healthz HTTP/1.1\r\nhost: gavel\r\n\r\n".repeat(UNREAD_RESPONSES),
    };
    stream.write_all(text.as_bytes()).await?;
    if matches!(behaviour, Behaviour::HalfClosed) {
        stream.shutdown().await?;
    }
    Ok(stream)
}
