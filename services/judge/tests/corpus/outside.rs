//! A file and sockets on the judge's side, which programs must not reach.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use tempfile::TempDir;

/// The file and the listening sockets.
pub(crate) struct Outside {
    folder: TempDir,
    tcp: TcpListener,
    named: UnixListener,
    hidden: UnixListener,
}

impl Outside {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let named = UnixListener::bind(folder.path().join("secret.sock")).unwrap();
        let name = folder.path().file_name().unwrap().as_encoded_bytes();
        let hidden = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        tcp.set_nonblocking(true).unwrap();
        named.set_nonblocking(true).unwrap();
        hidden.set_nonblocking(true).unwrap();
        Self { folder, tcp, named, hidden }
    }

    /// Replaces the placeholders in the input of a case.
    pub(crate) fn fill(&self, stdin: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(stdin) else { return stdin.to_owned() };
        let socket = self.folder.path().file_name().unwrap().to_string_lossy();
        let file = self.folder.path().join("secret");
        text.replace("{file}", &file.to_string_lossy())
            .replace("{port}", &self.tcp.local_addr().unwrap().port().to_string())
            .replace("{socket}", &socket)
            .into_bytes()
    }

    /// Checks that no program has connected.
    pub(crate) fn untouched(&self) -> Result<(), String> {
        if self.tcp.accept().is_ok() || self.named.accept().is_ok() || self.hidden.accept().is_ok() {
            return Err("a program connected to a socket on the judge's side".to_owned());
        }
        Ok(())
    }
}
