//! What the server says.

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;

use crate::error::NatsError;

/// The longest line of the server: its `INFO` lists a cluster's servers.
const MAX_LINE: usize = 64 << 10;
/// The largest message that comes: an answer of JetStream.
const MAX_ANSWER: usize = 1 << 20;

/// What the server says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Info(Value),
    Ping,
    Pong,
    Fine,
    Error(String),
    /// A message to a subject that was subscribed to. `status` is that of its headers, e.g. 503.
    Message {
        subject: String,
        status: Option<u16>,
        payload: Bytes,
    },
}

/// Takes what the server has said off `buffer`; `None`: there is more to come.
///
/// # Errors
/// When that is not the protocol.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Said>, NatsError> {
    let strange =
        |what: &str| NatsError::Connection { reason: format!("it does not speak the protocol of NATS: {what}") };
    let Some(end) = buffer.windows(2).position(|two| two == b"\r\n") else {
        return if buffer.len() > MAX_LINE { Err(strange("a line without an end")) } else { Ok(None) };
    };
    let line = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
    let said = match verb.to_ascii_uppercase().as_str() {
        "INFO" => Said::Info(serde_json::from_str(rest).map_err(|_| strange("INFO is no JSON"))?),
        "PING" => Said::Ping,
        "PONG" => Said::Pong,
        "+OK" => Said::Fine,
        "-ERR" => Said::Error(rest.trim().trim_matches('\'').to_owned()),
        verb @ ("MSG" | "HMSG") => {
            // Subject, subscription, perhaps a subject to answer to, perhaps the headers' size, the size of all.
            let words: Vec<&str> = rest.split_ascii_whitespace().collect();
            let size_at = |from_end: usize| {
                let word = words.len().checked_sub(from_end).and_then(|at| words.get(at));
                word.and_then(|word| word.parse::<usize>().ok()).filter(|size| *size <= MAX_ANSWER)
            };
            let total = size_at(1).ok_or_else(|| strange("a message without its size"))?;
            let head = if verb == "HMSG" { size_at(2).filter(|head| *head <= total) } else { Some(0) };
            let head = head.ok_or_else(|| strange("headers without their size"))?;
            if buffer.len() < end + 2 + total + 2 {
                return Ok(None);
            }
            let subject = words.first().copied().unwrap_or_default().to_owned();
            buffer.advance(end + 2);
            let mut payload = buffer.split_to(total).freeze();
            if buffer.split_to(2) != "\r\n" {
                return Err(strange("a message of another size than it says"));
            }
            let headers = payload.split_to(head);
            return Ok(Some(Said::Message { subject, status: status(&headers), payload }));
        }
        _ => return Err(strange("an unknown word")),
    };
    buffer.advance(end + 2);
    Ok(Some(said))
}

/// `NATS/1.0 503`, at the beginning of headers.
fn status(headers: &[u8]) -> Option<u16> {
    std::str::from_utf8(headers.strip_prefix(b"NATS/1.0 ")?.get(..3)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all(text: &str) -> Vec<Said> {
        let mut buffer = BytesMut::from(text);
        std::iter::from_fn(|| take(&mut buffer).unwrap()).collect()
    }

    #[test]
    fn what_the_server_says_is_told_apart() {
        let said = all("INFO {\"nonce\":\"n\"}\r\nPING\r\npong\r\n+OK\r\n-ERR 'Authorization Violation'\r\n");
        let expected = [
            Said::Info(json!({ "nonce": "n" })),
            Said::Ping,
            Said::Pong,
            Said::Fine,
            Said::Error("Authorization Violation".to_owned()),
        ];
        assert_eq!(said, expected);
        assert!(all("MSG _INBOX.a.1 1 4\r\na\r\nb\r").is_empty(), "it is not all there");
        let said = all("MSG _INBOX.a.1 1 4\r\na\r\nb\r\nHMSG _INBOX.a.2 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
        let message = |subject: &str, status, payload: &'static [u8]| Said::Message {
            subject: subject.to_owned(),
            status,
            payload: Bytes::from_static(payload),
        };
        assert_eq!(said, [message("_INBOX.a.1", None, b"a\r\nb"), message("_INBOX.a.2", Some(503), b"")]);
    }

    #[test]
    fn it_comes_in_whatever_pieces() {
        let text = "PING\r\nMSG s 1 reply 2\r\nhi\r\nPONG\r\n";
        let mut buffer = BytesMut::new();
        let mut said = Vec::new();
        for byte in text.bytes() {
            buffer.extend_from_slice(&[byte]);
            said.extend(take(&mut buffer).unwrap());
        }
        assert_eq!(said, all(text));
        assert_eq!(said.len(), 3);
    }

    #[test]
    fn what_is_not_the_protocol_is_refused() {
        let long = "x".repeat(MAX_LINE + 1);
        for bad in [
            "HTTP/1.1 400 Bad\r\n",
            "INFO {\r\n",
            "MSG a 1 x\r\n",
            "MSG a 1 9999999999\r\n",
            "HMSG a 1 9 3\r\n",
            "MSG a 1 1\r\nxyz\r\n",
            &long,
        ] {
            assert!(take(&mut BytesMut::from(bad)).is_err(), "{bad}");
        }
    }
}
