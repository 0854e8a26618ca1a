//! HTTP clients, and the one choice of cryptography for TLS.

/// Returns a builder of clients that verify servers with the certificates of the system, and whose TLS uses ring.
///
/// The other constructors of reqwest are disallowed (`clippy.toml`): without a cryptography provider they panic.
pub fn client() -> reqwest::ClientBuilder {
    // An error means that a provider is installed already, which can only be this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "the provider is installed")]
    reqwest::Client::builder()
}

#[cfg(test)]
mod tests {
    #[test]
    fn clients_can_be_built_repeatedly() {
        for _ in 0..2 {
            super::client().build().unwrap();
        }
    }
}
