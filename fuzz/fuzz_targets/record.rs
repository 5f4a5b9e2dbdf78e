//! Reads any bytes as a record and as a body of records. The check agrees with serde_json about what is JSON, and a
//! body gives the same records however it is cut into chunks.
#![no_main]

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use libfuzzer_sys::fuzz_target;
use opentrail_ingest::{AccountRule, DedupWindow, Encoding, Ingest, check};
use opentrail_journal::{Journal, MemoryJournal};
use opentrail_model::{Position, RecordError, Source, Timestamp};
use opentrail_runtime::ManualClock;

/// What became of a body that comes in chunks of `size` bytes: the kept bodies, and what was said.
async fn put(body: &[u8], size: usize, encoding: Encoding) -> (Vec<Bytes>, String) {
    let journal = Arc::new(MemoryJournal::default());
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let ingest = Ingest::new(Arc::clone(&journal) as Arc<dyn Journal>, clock, DedupWindow::new(100))
        .with_max_decoded_bytes(16 << 20);
    let chunks: Vec<Result<Bytes, Infallible>> =
        body.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let rule = AccountRule::allowing("111122223333".parse().expect("twelve digits"), |_| true);
    let said = ingest.put_records(stream::iter(chunks), encoding, Source::Records, rule).await;
    let kept = journal.read(Position::START, usize::MAX).await.expect("memory is readable");
    let bodies: Vec<Bytes> = kept.into_iter().map(|entry| entry.body).collect();
    assert!(bodies.iter().all(|body| check(body).is_ok()), "only records are kept");
    (bodies, format!("{said:?}"))
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let is_json = serde_json::from_slice::<&serde_json::value::RawValue>(body).is_ok();
    match check(body) {
        Ok(()) | Err(RecordError::NotAnObject | RecordError::TooDeep { .. }) => assert!(is_json),
        Err(RecordError::Json { offset, .. }) => assert!(!is_json && offset <= body.len()),
        Err(RecordError::TooLarge { .. }) => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a thread has a runtime");
    let encoding = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd][usize::from(*choice) % 3];
    let size = usize::from(*choice / 3) + 1;
    runtime.block_on(async {
        let (whole, cut) = (put(body, body.len().max(1), encoding).await, put(body, size, encoding).await);
        if encoding == Encoding::Identity {
            assert_eq!(whole, cut);
        } else {
            // A decoder may notice damage some bytes earlier or later, never give other records.
            let common = whole.0.len().min(cut.0.len());
            assert_eq!(whole.0[..common], cut.0[..common]);
        }
    });
});
