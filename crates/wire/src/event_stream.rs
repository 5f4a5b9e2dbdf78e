//! `application/vnd.amazon.eventstream`: an answer of many messages, each framed by lengths and checksums.
//!
//! A message is: total length, length of the headers, CRC-32 of these two, headers, payload, CRC-32 of all before it;
//! numbers are big-endian. All our headers are texts. (Amazon Transcribe Developer Guide, "Event stream encoding";
//! Smithy 2.0, "Amazon Event Stream Specification".)

use bytes::{BufMut, Bytes, BytesMut};

/// The content type of such an answer.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// The type of a header whose value is a text.
const TEXT: u8 = 7;

/// The most bytes of a name of a header, by the format.
const MOST_NAME_BYTES: usize = 255;

/// A message that is an event of the answer's type, its payload JSON.
pub fn event(name: &str, payload: &[u8]) -> Bytes {
    message(&[(":message-type", "event"), (":event-type", name), (":content-type", "application/json")], payload)
}

/// A message that is a modelled error. The answer ends with it.
pub fn exception(name: &str, text: &str) -> Bytes {
    let payload = serde_json::json!({ "message": text }).to_string();
    let headers = [(":message-type", "exception"), (":exception-type", name), (":content-type", "application/json")];
    message(&headers, payload.as_bytes())
}

/// What clients of awsJson 1.1 expect first: the output's members beside the stream, of which there are none.
pub fn initial_response() -> Bytes {
    let headers =
        [(":message-type", "event"), (":event-type", "initial-response"), (":content-type", "application/json")];
    message(&headers, b"{}")
}

/// One message. Headers that do not fit the format (names above 255 bytes, values above 65,535) are cut.
pub fn message(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut encoded = BytesMut::new();
    for (name, value) in headers {
        let name = &name.as_bytes()[..name.len().min(MOST_NAME_BYTES)];
        let value = &value.as_bytes()[..value.len().min(usize::from(u16::MAX))];
        encoded.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        encoded.put_slice(name);
        encoded.put_u8(TEXT);
        encoded.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        encoded.put_slice(value);
    }
    let total = 12 + encoded.len() + payload.len() + 4;
    let mut out = BytesMut::with_capacity(total);
    out.put_u32(u32::try_from(total).unwrap_or(u32::MAX));
    out.put_u32(u32::try_from(encoded.len()).unwrap_or(u32::MAX));
    out.put_u32(crc32fast::hash(&out));
    out.put_slice(&encoded);
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8]) -> u32 {
        u32::from_be_bytes(bytes.try_into().unwrap())
    }

    #[test]
    fn lengths_and_checksums_frame_headers_and_payload() {
        let framed = event("sessionUpdate", b"{\"a\":1}");
        assert_eq!(number(&framed[..4]) as usize, framed.len());
        assert_eq!(number(&framed[8..12]), crc32fast::hash(&framed[..8]));
        let end = framed.len() - 4;
        assert_eq!(number(&framed[end..]), crc32fast::hash(&framed[..end]));
        let headers = number(&framed[4..8]) as usize;
        assert_eq!(&framed[12 + headers..end], b"{\"a\":1}");
        assert_eq!(&framed[12..28], b"\x0d:message-type\x07\x00");
    }

    #[test]
    fn a_message_without_headers_or_payload_is_the_documented_one() {
        // The published test vector of an empty message.
        let expected = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xC2, 0x48, 0xEB, 0x7D, 0x98, 0xC8, 0xFF];
        assert_eq!(&message(&[], b"")[..], expected);
    }

    #[test]
    fn errors_carry_their_name_and_text() {
        let framed = exception("SessionTimeoutException", "over");
        let text = String::from_utf8_lossy(&framed);
        assert!(text.contains("SessionTimeoutException") && text.contains("{\"message\":\"over\"}"));
    }
}
