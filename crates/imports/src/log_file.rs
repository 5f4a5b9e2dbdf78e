//! One log file: its bytes become events, or it fails as a whole.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use opentrail_ingest::envelope;
use opentrail_model::{AccountId, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

/// An event of a log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// Its JSON, byte for byte. Events of one file share its memory.
    pub raw: Bytes,
    /// `eventTime`.
    pub time: Timestamp,
    /// `recipientAccountId`, else `userIdentity.accountId`.
    pub account: Option<AccountId>,
}

/// Why bytes are no log file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFileError {
    /// They are not gzip, or broken.
    #[error("The file is not compressed with gzip, or damaged: {reason}.")]
    Gzip {
        /// The decoder's word.
        reason: String,
    },
    /// There is more than may be read at once.
    #[error("The file has more than {limit_bytes} bytes uncompressed.")]
    TooLarge {
        /// Bytes allowed.
        limit_bytes: usize,
    },
    /// They are not one JSON document with a list `Records`.
    #[error("The file is not a CloudTrail log file: {reason}.")]
    Document {
        /// The parser's word.
        reason: String,
    },
    /// One of the records is no event.
    #[error("Record {index} of the file is not a CloudTrail event: {reason}.")]
    Event {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

/// Reads a log file (User Guide, "CloudTrail log file examples"): a gzip file of one JSON document, whose `Records` are
/// events. Each event must be a record ([`opentrail_ingest::check`]) with an `eventTime`. Blocks.
///
/// # Errors
/// The first reason found. Uncompressed, the file may have `limit_bytes` bytes; no more than that is held.
pub fn read_log_file(compressed: &[u8], limit_bytes: usize) -> Result<Vec<LogEvent>, LogFileError> {
    let text = decompress(compressed, limit_bytes)?;
    let document: Document<'_> =
        serde_json::from_slice(&text).map_err(|error| LogFileError::Document { reason: error.to_string() })?;
    let event = |(index, record): (usize, &RawValue)| {
        let odd = |reason: String| LogFileError::Event { index, reason };
        let raw = text.slice_ref(record.get().as_bytes());
        let found = envelope(&raw).map_err(|error| odd(error.to_string()))?;
        let time = found.event_time.as_deref().ok_or_else(|| odd("it has no eventTime".to_owned()))?;
        let time = time.parse().map_err(|_| odd(format!("its eventTime {time:?} is no time")))?;
        let account = found.account;
        Ok(LogEvent { raw, time, account })
    };
    document.records.into_iter().enumerate().map(event).collect()
}

fn decompress(compressed: &[u8], limit_bytes: usize) -> Result<Bytes, LogFileError> {
    // (RFC 1952, 2.3.1, ISIZE.) It may say anything: room that is not used costs nothing.
    let said = compressed.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let mut text = Vec::with_capacity(said.min(limit_bytes));
    // One byte more than may be tells a file that is as large as may be from a larger one.
    let mut decoder = MultiGzDecoder::new(compressed).take(limit_bytes as u64 + 1);
    decoder.read_to_end(&mut text).map_err(|error| LogFileError::Gzip { reason: error.to_string() })?;
    if text.len() > limit_bytes { Err(LogFileError::TooLarge { limit_bytes }) } else { Ok(text.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    const LIMIT: usize = 1 << 20;

    #[test]
    fn events_are_the_bytes_that_the_file_has() {
        let odd = r#"{ "eventTime" : "2024-05-01T10:00:00Z","eventTime":"2024-05-01T10:00:01Z", "a":"\u00e9\ud83d\ude00", "n":1.0e2 }"#;
        let plain = r#"{"eventTime":"2024-05-01T10:00:02Z","recipientAccountId":"111122223333"}"#;
        let events = read_log_file(&gzip(format!("{{\"Records\": [\n{odd} ,{plain}]}}").as_bytes()), LIMIT).unwrap();
        let raws: Vec<&[u8]> = events.iter().map(|event| &event.raw[..]).collect();
        assert_eq!(raws, [odd.as_bytes(), plain.as_bytes()]);
        assert_eq!(events[0].time.to_iso(), "2024-05-01T10:00:01Z");
        assert_eq!(events[1].account.unwrap().to_string(), "111122223333");
        assert_eq!(read_log_file(&gzip(b"{\"Records\":[]}"), LIMIT), Ok(Vec::new()));
    }

    #[test]
    fn a_file_of_several_gzip_members_is_read_whole() {
        let event = r#"{"eventTime":"2024-05-01T10:00:00Z"}"#;
        let mut file = gzip(format!("{{\"Records\":[{event},").as_bytes());
        file.extend(gzip(format!("{event}]}}").as_bytes()));
        assert_eq!(read_log_file(&file, LIMIT).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_log_file_fails_as_a_whole() {
        let good = r#"{"eventTime":"2024-05-01T10:00:00Z"}"#;
        let read = |text: &str| read_log_file(&gzip(text.as_bytes()), LIMIT).unwrap_err();
        assert!(matches!(read_log_file(b"{\"Records\":[]}", LIMIT), Err(LogFileError::Gzip { .. })));
        let cut = gzip(format!("{{\"Records\":[{good}]}}").as_bytes());
        assert!(matches!(read_log_file(&cut[..cut.len() - 4], LIMIT), Err(LogFileError::Gzip { .. })));
        for text in
            ["", "[]", "{}", "{\"Records\":5}", &format!("{{\"Records\":[{good}]}} x"), &format!("{good}\n{good}")]
        {
            assert!(matches!(read(text), LogFileError::Document { .. }), "{text}");
        }
        for odd in ["1", "[]", "{}", r#"{"eventTime":5}"#, r#"{"eventTime":"yesterday"}"#] {
            let error = read(&format!("{{\"Records\":[{good},{odd}]}}"));
            assert!(matches!(error, LogFileError::Event { index: 1, .. }), "{odd}: {error}");
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < LIMIT);
        assert_eq!(read_log_file(&bomb, LIMIT), Err(LogFileError::TooLarge { limit_bytes: LIMIT }));
    }
}
