//! Signatures of calls as defined by Standard Webhooks (<https://www.standardwebhooks.com>, specification 1.0). A
//! receiver with the secret can verify that a call comes from Gavel unchanged, when it was sent, and whether it is
//! a repeat.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_domain::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::RequestBuilder;
use sha2::Sha256;

/// The allowed length of a secret in bytes (specification, "Signature scheme").
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs with each secret, so that a receiver can verify with the old or the new one during a rotation.
#[derive(Clone)]
pub(crate) struct Signer {
    macs: Vec<Hmac<Sha256>>,
}

/// A secret has the wrong format. The error does not contain the secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidSecret;

impl Signer {
    pub(crate) fn new(secrets: &[Secret]) -> Result<Self, InvalidSecret> {
        let mac = |secret: &Secret| {
            let text = secret.expose().strip_prefix("whsec_").ok_or(InvalidSecret)?;
            let key = STANDARD.decode(text).map_err(|_| InvalidSecret)?;
            let is_valid = SECRET_LENGTH.contains(&key.len());
            is_valid
                .then(|| Hmac::new_from_slice(&key).expect("HMAC accepts keys of any length"))
                .ok_or(InvalidSecret)
        };
        Ok(Self { macs: secrets.iter().map(mac).collect::<Result<_, _>>()? })
    }

    /// Adds the call's id, and if there is a secret also the time and the signatures. `id` is the same for each attempt
    /// of one callback, so that a receiver recognizes repeats and generations without verifying signatures.
    pub(crate) fn sign(&self, request: RequestBuilder, id: &str, now_s: u64, body: &[u8]) -> RequestBuilder {
        let request = request.header("webhook-id", id);
        if self.macs.is_empty() {
            return request;
        }
        request
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

/// Returns the id of a callback: its kind, and the key of its submission. Other characters than ASCII letters,
/// digits, `-` and `_` in the key are escaped as `~` and two hexadecimal digits, so different keys never share an
/// id.
#[must_use]
pub fn callback_id(kind: &str, key: &str) -> String {
    use std::fmt::Write as _;
    key.bytes().fold(format!("{kind}-"), |mut id, byte| {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            id.push(char::from(byte));
        } else {
            write!(id, "~{byte:02x}").expect("writing to a String does not fail");
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

    /// The test vector of the reference implementations.
    #[test]
    fn signature_matches_the_published_test_vector() {
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(signer(&[SECRET]).unwrap().signatures(ID, 1_614_265_330, body), SIGNATURE);
    }

    #[test]
    fn each_secret_adds_a_signature() {
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let both =
            signer(&[other, SECRET]).unwrap().signatures(ID, 1_614_265_330, br#"{"test": 2432232314}"#);
        let (new, old) = both.split_once(' ').unwrap();
        assert_eq!(old, SIGNATURE);
        assert!(new.starts_with("v1,") && new != old, "{both}");
    }

    #[test]
    fn signature_covers_id_time_and_body() {
        let signer = signer(&[SECRET]).unwrap();
        let all = [(ID, 1, "a"), ("other", 1, "a"), (ID, 2, "a"), (ID, 1, "b")]
            .map(|(id, at, body)| signer.signatures(id, at, body.as_bytes()));
        assert!((1..4).all(|n| all[n] != all[0]), "{all:?}");
    }

    #[test]
    fn secret_is_a_prefix_and_24_to_64_bytes_in_base64() {
        let secret = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        assert!(signer(&[&secret(24), &secret(64)]).is_ok());
        for wrong in ["", "whsec_", "whsec_not base64", &SECRET["whsec_".len()..], &secret(23), &secret(65)] {
            assert_eq!(signer(&[SECRET, wrong]).err(), Some(InvalidSecret), "{wrong}");
        }
    }

    #[test]
    fn callback_id_escapes_special_characters() {
        assert_eq!(callback_id("result", "k97_a-b"), "result-k97_a-b");
        assert_eq!(callback_id("result", "grüß~/x"), "result-gr~c3~bc~c3~9f~7e~2fx");
    }
}
