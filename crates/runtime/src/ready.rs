//! `--ready`: asks the running service whether it is ready. A container needs no other program for its health check.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The timeout of each step. The service itself gives its checks 3 s.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum size of the response, in bytes.
const MAX_RESPONSE_BYTES: u64 = 64 << 10;

/// Requests `/readyz` of the service that listens on `listen`.
///
/// # Errors
/// Returns the problems of the service, or why it did not answer.
pub(crate) fn ask(listen: SocketAddr) -> Result<(), String> {
    let address = reachable(listen);
    let response =
        request(address).map_err(|error| format!("no answer from http://{address}/readyz: {error}"))?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    if head.split(' ').nth(1) == Some("200") { Ok(()) } else { Err(problems(body)) }
}

/// HTTP/1.0, so that the service closes the connection after the response.
fn request(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut response = String::new();
    stream.take(MAX_RESPONSE_BYTES).read_to_string(&mut response)?;
    Ok(response)
}

/// The address to connect to; a service that listens on all addresses is reachable on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::new(address, listen.port())
}

/// The problems in the body of `/readyz`, or the body itself.
fn problems(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| body.into());
    let problems =
        body["unreachable"].as_array().into_iter().flatten().filter_map(|problem| problem.as_str());
    let problems: Vec<_> = problems.collect();
    if problems.is_empty() { body.to_string() } else { problems.join("; ") }
}
