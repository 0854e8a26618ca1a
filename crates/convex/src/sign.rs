//! Signatures of calls, after Standard Webhooks (<https://www.standardwebhooks.com>, specification 1.0): whoever holds
//! the secret knows that a call is ours, that it was not changed, when it was sent, and which one is sent again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_domain::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::RequestBuilder;
use sha2::Sha256;

/// How long a secret may be, in bytes (specification, "Signature scheme").
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs with each of its secrets, so that the receiver may know the old one or the new one.
#[derive(Clone)]
pub(crate) struct Signer {
    macs: Vec<Hmac<Sha256>>,
}

/// A secret that is none; what it is is not told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidSecret;

impl Signer {
    pub(crate) fn new(secrets: &[Secret]) -> Result<Self, InvalidSecret> {
        let mac = |secret: &Secret| {
            let text = secret.expose().strip_prefix("whsec_").ok_or(InvalidSecret)?;
            let key = STANDARD.decode(text).map_err(|_| InvalidSecret)?;
            let fits = SECRET_BYTES.contains(&key.len());
            fits.then(|| Hmac::new_from_slice(&key).expect("any length will do")).ok_or(InvalidSecret)
        };
        Ok(Self { macs: secrets.iter().map(mac).collect::<Result<_, _>>()? })
    }

    /// Adds the three headers; none where there are no secrets. `id` is the same for each try of one callback.
    pub(crate) fn sign(&self, request: RequestBuilder, id: &str, now_s: u64, body: &[u8]) -> RequestBuilder {
        if self.macs.is_empty() {
            return request;
        }
        request
            .header("webhook-id", id)
            .header("webhook-timestamp", now_s)
            .header("webhook-signature", self.signatures(id, now_s, body))
    }

    fn signatures(&self, id: &str, now_s: u64, body: &[u8]) -> String {
        let signature = |mac: &Hmac<Sha256>| {
            let mut mac = mac.clone();
            mac.update(format!("{id}.{now_s}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        self.macs.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

/// The id of a callback: what is called, and for which piece of work. It holds nothing but letters, digits, `-`, `_`
/// and `~`, whatever the id of the submission holds, and no two pieces of work share one.
#[must_use]
pub fn callback_id(what: &str, work: &str) -> String {
    use std::fmt::Write as _;
    work.bytes().fold(format!("{what}-"), |mut id, byte| {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            id.push(char::from(byte));
        } else {
            write!(id, "~{byte:02x}").expect("a String takes everything");
        }
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn signer(secrets: &[&str]) -> Result<Signer, InvalidSecret> {
        Signer::new(&secrets.iter().map(|&secret| Secret::new(secret)).collect::<Vec<_>>())
    }

    /// The vector of the reference implementations.
    #[test]
    fn the_published_vector() {
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(signer(&[SECRET]).unwrap().signatures(ID, 1_614_265_330, body), SIGNATURE);
    }

    #[test]
    fn each_secret_signs() {
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let both =
            signer(&[other, SECRET]).unwrap().signatures(ID, 1_614_265_330, br#"{"test": 2432232314}"#);
        let (new, old) = both.split_once(' ').unwrap();
        assert_eq!(old, SIGNATURE);
        assert!(new.starts_with("v1,") && new != old, "{both}");
    }

    #[test]
    fn what_is_signed_changes_the_signature() {
        let signer = signer(&[SECRET]).unwrap();
        let all = [(ID, 1, "a"), ("other", 1, "a"), (ID, 2, "a"), (ID, 1, "b")]
            .map(|(id, at, body)| signer.signatures(id, at, body.as_bytes()));
        assert!((1..4).all(|n| all[n] != all[0]), "{all:?}");
    }

    #[test]
    fn a_secret_is_24_to_64_bytes_in_base64_behind_its_prefix() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        assert!(signer(&[&of(24), &of(64)]).is_ok());
        for wrong in ["", "whsec_", "whsec_not base64", &SECRET["whsec_".len()..], &of(23), &of(65)] {
            assert_eq!(signer(&[SECRET, wrong]).err(), Some(InvalidSecret), "{wrong}");
        }
    }

    #[test]
    fn an_id_is_plain_and_its_own() {
        assert_eq!(callback_id("result", "k97_a-b"), "result-k97_a-b");
        assert_eq!(callback_id("result", "grüß~/x"), "result-gr~c3~bc~c3~9f~7e~2fx");
    }
}
