//! Chunks of log events: a zstd frame each, of the number of events, then of each the time and the length of its message,
//! then all messages. The row has the frame's checksum (CRC-32 of frame, runs and uncompressed length), the number of
//! events, and the span of their times.

use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::tables::LOGS;
use crate::fsck::Pace;
use crate::fsck::report::Notes;

/// More than any chunk has uncompressed.
const MOST_RAW: i64 = 4 << 20;

/// Checks every chunk. Answers the last sequence number that was given out.
pub(super) async fn check(
    connection: &mut SqliteConnection,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<Option<u64>, sqlx::Error> {
    let last: Option<i64> =
        sqlx::query_scalar("SELECT value FROM meta WHERE name = 'sequence'").fetch_optional(&mut *connection).await?;
    let last = last.and_then(|last| u64::try_from(last).ok()).unwrap_or_default();
    let statement = "SELECT sequence, first_sequence, first, last, count, raw, checksum, runs, body FROM chunk";
    let mut rows = sqlx::query(statement).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let sequence: i64 = row.try_get("sequence")?;
        if let Err(problem) = check_chunk(&row, last, notes)? {
            notes.damage(LOGS, format_args!("the chunk {sequence} of log events {problem}"));
        }
        if pace.advance(row.try_get::<&[u8], _>("body")?.len() as u64).is_err() {
            break;
        }
    }
    Ok(Some(last))
}

type Verdict = Result<(), String>;

fn check_chunk(row: &SqliteRow, last: u64, notes: &mut Notes) -> Result<Verdict, sqlx::Error> {
    let (body, runs): (&[u8], &[u8]) = (row.try_get("body")?, row.try_get("runs")?);
    let (raw, count, checksum): (i64, i64, i64) =
        (row.try_get("raw")?, row.try_get("count")?, row.try_get("checksum")?);
    let span: (i64, i64) = (row.try_get("first")?, row.try_get("last")?);
    let sequences: (i64, i64) = (row.try_get("first_sequence")?, row.try_get("sequence")?);
    notes.checked("log events", u64::try_from(count).unwrap_or_default());
    if u64::try_from(sequences.1).map_or(true, |sequence| sequence > last) {
        return Ok(Err(format!("has a number past the last one, {last}")));
    }
    if !(0..=MOST_RAW).contains(&raw) {
        return Ok(Err(format!("has an impossible length of {raw} bytes")));
    }
    let mut hasher = crc32fast::Hasher::new();
    for part in [body, runs, &raw.to_le_bytes()] {
        hasher.update(part);
    }
    if checksum != i64::from(hasher.finalize()) {
        return Ok(Err("does not have its checksum: events are altered or lost".to_owned()));
    }
    Ok(check_events(body, raw, count, span).and_then(|()| check_runs(runs, count, sequences)))
}

fn check_events(body: &[u8], raw: i64, count: i64, span: (i64, i64)) -> Verdict {
    let bytes = zstd::bulk::decompress(body, usize::try_from(raw).unwrap_or_default())
        .map_err(|error| format!("cannot be decompressed: {error}"))?;
    let torn = || "ends too early".to_owned();
    let mut rest = &bytes[..];
    let events = number(&mut rest).ok_or_else(torn)?;
    if i64::try_from(events) != Ok(count) {
        return Err(format!("has {events} events, and its row says {count}"));
    }
    let (mut time, mut length, mut found) = (0_i64, 0_u64, None::<(i64, i64)>);
    for _ in 0..events {
        let step = number(&mut rest).ok_or_else(torn)?;
        time = time.wrapping_add(((step >> 1) as i64) ^ -((step & 1) as i64));
        length = length.saturating_add(number(&mut rest).ok_or_else(torn)?);
        found = Some(found.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
    }
    if length != rest.len() as u64 {
        return Err(format!("has {} bytes of messages, and their lengths come to {length}", rest.len()));
    }
    if std::str::from_utf8(rest).is_err() {
        return Err("has messages that are no text".to_owned());
    }
    if found.is_some_and(|found| found != span) {
        return Err("has events of other times than its row says".to_owned());
    }
    Ok(())
}

/// Events that were committed together: the commit's number, when, how many.
fn check_runs(mut rest: &[u8], count: i64, (first, last): (i64, i64)) -> Verdict {
    let (mut events, mut numbers) = (0_u64, Vec::new());
    while !rest.is_empty() {
        let run = (number(&mut rest), number(&mut rest), number(&mut rest));
        let (Some(sequence), Some(_), Some(more)) = run else { return Err("has torn runs".to_owned()) };
        numbers.push(sequence);
        events = events.saturating_add(more);
    }
    let ends = |number: Option<&u64>, end: i64| number.copied() == u64::try_from(end).ok();
    if i64::try_from(events) != Ok(count) || !ends(numbers.first(), first) || !ends(numbers.last(), last) {
        return Err("has runs that do not fit it".to_owned());
    }
    Ok(())
}

/// A number of seven bits a byte, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, more) = rest.split_first()?;
        *rest = more;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
