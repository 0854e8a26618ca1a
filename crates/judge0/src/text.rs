//! Base64 in Judge0's form: wrapped at 60 characters, with a newline at the end.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Accepts base64 with or without padding.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The text is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not base64")]
pub(crate) struct NotBase64;

/// Encodes bytes on one line, with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

/// Decodes base64. Ignores white space and accepts missing padding.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, NotBase64> {
    let mut packed = text.as_bytes().to_vec();
    packed.retain(|byte| !byte.is_ascii_whitespace());
    ENGINE.decode(packed).map_err(|_| NotBase64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_and_unpadded_text_is_decoded() {
        let long = vec![b'x'; 100];
        let encoded = encode(&long);
        let wrapped = format!("{}\n{}\n{}\n", &encoded[..60], &encoded[60..120], &encoded[120..]);
        assert_eq!(decode(&wrapped), Ok(long));
        for (text, bytes) in
            [("", &b""[..]), ("\n", b""), ("MQo=\r\n", b"1\n"), ("MQo", b"1\n"), ("//4A", b"\xff\xfe\0")]
        {
            assert_eq!(decode(text).as_deref(), Ok(bytes), "{text:?}");
        }
        for text in ["<html>", "a", "MQ*=", "M=Qo"] {
            assert_eq!(decode(text), Err(NotBase64), "{text:?}");
        }
    }

    #[test]
    fn encoded_text_is_one_padded_line() {
        assert_eq!(encode(b"1\n"), "MQo=");
    }
}
