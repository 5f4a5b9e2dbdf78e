use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use opentrail_journal::{AppendError, Appended, Entry, Journal, MemoryJournal, NewEntry, ReadError, TrimError};
use opentrail_model::{AccountId, Position, Source, Timestamp};
use opentrail_runtime::ManualClock;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::*;

mod call;
mod whole;

const CALLER: &str = "111122223333";

fn rule() -> AccountRule {
    AccountRule::allowing(CALLER.parse().unwrap(), |_| true)
}

fn ingest(journal: &Arc<MemoryJournal>) -> Ingest {
    over(Arc::clone(journal) as Arc<dyn Journal>)
}

fn over(journal: Arc<dyn Journal>) -> Ingest {
    Ingest::new(journal, Arc::new(ManualClock::new(Timestamp::from_secs(7))), DedupWindow::new(10_000))
}

async fn put(ingest: &Ingest, body: &[u8], encoding: Encoding) -> Result<Report, IngestError> {
    let chunks: Vec<Result<Bytes, Infallible>> =
        body.chunks(700).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    ingest.put_records(stream::iter(chunks), encoding, Source::Records, rule()).await
}

async fn kept(journal: &dyn Journal) -> Vec<Entry> {
    journal.read(Position::START, usize::MAX).await.unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

fn record(id: u32) -> String {
    format!("{{\"eventID\":\"{id}\",  \"eventName\":\"A\", \"recipientAccountId\":\"{CALLER}\"}}")
}

#[tokio::test]
async fn every_encoding_gives_the_same_records_byte_for_byte() {
    let lines: Vec<String> = (0..3000).map(record).collect();
    let body = lines.join("\n").into_bytes();
    let (front, back) = body.split_at(body.len() / 3);
    for (encoding, bytes) in [
        (Encoding::Identity, body.clone()),
        (Encoding::Gzip, gzip(&body)),
        (Encoding::Gzip, [gzip(front), gzip(back)].concat()),
        (Encoding::Zstd, zstd(&body)),
        (Encoding::Zstd, [zstd(front), zstd(back)].concat()),
    ] {
        let journal = Arc::new(MemoryJournal::default());
        let report = put(&ingest(&journal), &bytes, encoding).await.unwrap();
        assert_eq!((report.accepted, report.refused_count), (3000, 0), "{encoding:?}");
        assert_eq!((report.first_position, report.last_position), (Some(Position(1)), Some(Position(3000))));
        let found: Vec<Bytes> = kept(&*journal).await.into_iter().map(|entry| entry.body).collect();
        assert_eq!(found, lines, "{encoding:?}");
        let again = put(&ingest(&Arc::new(MemoryJournal::default())), &bytes[..bytes.len() - 5], encoding).await;
        assert_eq!(again.is_err(), encoding != Encoding::Identity, "{encoding:?} cut short");
    }
}

#[tokio::test]
async fn refused_records_are_named_and_the_others_kept() {
    let journal = Arc::new(MemoryJournal::default());
    let other = r#"{"recipientAccountId":"999999999999"}"#;
    let foreign = r#"{"userIdentity":{"accountId":"888888888888"}}"#;
    let body = format!("[{},5,{{\"a\":}},{other},{foreign},{{\"b\":1}}]", record(1));
    let once = stream::iter([Ok::<_, Infallible>(Bytes::from(body))]);
    let rule = AccountRule::new(CALLER.parse().unwrap(), |named| {
        if named.to_string() == "888888888888" { Whose::Callers } else { Whose::Refused }
    });
    let report = ingest(&journal).put_records(once, Encoding::Identity, Source::Records, rule).await.unwrap();
    assert_eq!(
        serde_json::to_string(&report).unwrap(),
        concat!(
            r#"{"Accepted":3,"Duplicates":0,"Refused":[{"Index":1,"Reason":"a record must be a JSON object"},"#,
            r#"{"Index":2,"Reason":"not valid JSON: expected value at byte 5"},"#,
            r#"{"Index":3,"Reason":"a caller of account 111122223333 may not put records of account 999999999999"}],"#,
            r#""RefusedCount":3,"FirstPosition":1,"LastPosition":3}"#
        )
    );
    let caller: AccountId = CALLER.parse().unwrap();
    assert!(kept(&*journal).await.iter().all(|entry| entry.account == caller && entry.source == Source::Records));
}

#[tokio::test]
async fn broken_framing_keeps_what_came_before_and_names_the_byte() {
    let journal = Arc::new(MemoryJournal::default());
    let body = format!("{{\"Records\":[{}  {}]}}", record(1), record(2));
    match put(&ingest(&journal), body.as_bytes(), Encoding::Identity).await {
        Err(IngestError::Framing { offset, report, .. }) => {
            assert_eq!((offset as usize, report.accepted), (14 + record(1).len(), 1));
        }
        other => panic!("expected a framing error, found {other:?}"),
    }
    assert_eq!(kept(&*journal).await.len(), 1);
}

#[tokio::test]
async fn a_bomb_ends_at_the_limit() {
    let zeroes = vec![b' '; 64 << 20];
    for (encoding, bomb) in [(Encoding::Gzip, gzip(&zeroes)), (Encoding::Zstd, zstd(&zeroes))] {
        let ingest = ingest(&Arc::new(MemoryJournal::default())).with_max_decoded_bytes(4 << 20);
        let ended = put(&ingest, &bomb, encoding).await;
        assert!(matches!(ended, Err(IngestError::TooLarge { limit_bytes: 4_194_304, .. })), "{encoding:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_repeated_record_is_kept_once_and_one_with_other_bytes_is_kept_too() {
    let journal = Arc::new(MemoryJournal::default());
    let ingest = ingest(&journal);
    let body = format!("{}\n{}\n{}\n{{}}\n{{}}", record(1), record(1), record(1).replace('A', "B"));
    let first = put(&ingest, body.as_bytes(), Encoding::Identity).await.unwrap();
    assert_eq!((first.accepted, first.duplicates), (4, 1));
    let second = put(&ingest, body.as_bytes(), Encoding::Identity).await.unwrap();
    assert_eq!((second.accepted, second.duplicates), (2, 3), "records without an eventID are no duplicates");
    let window = DedupWindow::load(100, &*journal).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let restarted = Ingest::new(Arc::clone(&journal) as Arc<dyn Journal>, clock, window);
    assert_eq!(put(&restarted, body.as_bytes(), Encoding::Identity).await.unwrap().duplicates, 3);
}

#[tokio::test]
async fn a_body_that_breaks_off_keeps_what_came_before() {
    let journal = Arc::new(MemoryJournal::default());
    let chunks = vec![Ok(Bytes::from(record(1) + "\n" + &record(2)[..9])), Err("connection reset")];
    let ended = ingest(&journal).put_records(stream::iter(chunks), Encoding::Identity, Source::Records, rule()).await;
    assert!(matches!(ended, Err(IngestError::Body { report, .. }) if report.accepted == 1));
}

/// A journal whose appends wait for a permit each, and fail when they find `Fail` first.
#[derive(Debug)]
struct Gated {
    inner: MemoryJournal,
    gate: Semaphore,
    failures: Mutex<u32>,
}

impl Gated {
    fn new(failures: u32) -> Arc<Self> {
        Arc::new(Self { inner: MemoryJournal::default(), gate: Semaphore::new(0), failures: Mutex::new(failures) })
    }
}

#[async_trait::async_trait]
impl Journal for Gated {
    async fn append(&self, batch: Vec<NewEntry>) -> Result<Appended, AppendError> {
        self.gate.acquire().await.unwrap().forget();
        let fails = {
            let mut failures = self.failures.lock();
            let fails = *failures > 0;
            *failures = failures.saturating_sub(1);
            fails
        };
        if fails {
            return Err(AppendError::Unavailable { reason: "no space left on device".into() });
        }
        self.inner.append(batch).await
    }

    async fn read(&self, after: Position, max_bytes: usize) -> Result<Vec<Entry>, ReadError> {
        self.inner.read(after, max_bytes).await
    }

    fn tail(&self) -> Position {
        self.inner.tail()
    }

    async fn wait_past(&self, position: Position) {
        self.inner.wait_past(position).await;
    }

    fn trimmed(&self) -> Position {
        self.inner.trimmed()
    }

    async fn trim(&self, through: Position) -> Result<(), TrimError> {
        self.inner.trim(through).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[tokio::test]
async fn two_requests_with_the_same_records_keep_them_once() {
    let journal = Gated::new(0);
    let ingest = over(Arc::clone(&journal) as Arc<dyn Journal>);
    let (forth, back) = ([record(1), record(2)].join("\n"), [record(2), record(1)].join("\n"));
    journal.gate.add_permits(100);
    let (one, two) = tokio::join!(
        put(&ingest, forth.as_bytes(), Encoding::Identity),
        put(&ingest, back.as_bytes(), Encoding::Identity)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.accepted + two.accepted, one.duplicates + two.duplicates), (2, 2));
    assert_eq!(kept(&*journal).await.len(), 2);
}

#[tokio::test]
async fn a_record_whose_append_failed_is_new_again_for_who_waited() {
    let journal = Gated::new(1);
    let ingest = over(Arc::clone(&journal) as Arc<dyn Journal>);
    let body = record(1);
    let (one, two) =
        (put(&ingest, body.as_bytes(), Encoding::Identity), put(&ingest, body.as_bytes(), Encoding::Identity));
    journal.gate.add_permits(2);
    let (one, two) = tokio::join!(one, two);
    assert!(matches!(&one, Err(IngestError::Unavailable { report, .. }) if report.accepted == 0), "{one:?}");
    assert_eq!(two.unwrap().accepted, 1);
}

#[tokio::test]
async fn what_a_vanished_request_appends_is_known_afterwards() {
    let journal = Gated::new(0);
    let ingest = over(Arc::clone(&journal) as Arc<dyn Journal>);
    let body = record(1);
    {
        let vanishing = put(&ingest, body.as_bytes(), Encoding::Identity);
        tokio::pin!(vanishing);
        // Polled until it waits for the journal, then dropped.
        for _ in 0..10 {
            assert!(futures::poll!(vanishing.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    journal.gate.add_permits(1);
    let again = put(&ingest, body.as_bytes(), Encoding::Identity).await.unwrap();
    assert_eq!((again.accepted, again.duplicates), (0, 1));
    assert_eq!(kept(&*journal).await.len(), 1);
}

#[tokio::test]
async fn a_body_that_pauses_gets_its_records_appended_and_one_that_stalls_is_given_up() {
    let journal = Arc::new(MemoryJournal::default());
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let dedup = DedupWindow::new(10);
    let ingest = Ingest::new(Arc::clone(&journal) as Arc<dyn Journal>, Arc::clone(&clock) as _, dedup);
    let chunk = Ok::<_, Infallible>(Bytes::from(record(1) + "\n"));
    let body = stream::iter([chunk]).chain(stream::pending());
    let putting = ingest.put_records(body, Encoding::Identity, Source::Records, rule());
    let moving = async {
        tokio::task::yield_now().await;
        while journal.tail() == Position::START {
            clock.advance(std::time::Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
        assert!(clock_is_early(&clock));
        clock.advance(std::time::Duration::from_secs(61));
    };
    let (ended, ()) = tokio::join!(putting, moving);
    assert!(matches!(ended, Err(IngestError::Body { report, .. }) if report.accepted == 1));
}

fn clock_is_early(clock: &ManualClock) -> bool {
    use opentrail_runtime::Clock;
    clock.now() < Timestamp::from_secs(30)
}

/// The real records, where they are: beside the project, or where `OPENTRAIL_SHARED_DATA` says.
#[tokio::test]
async fn real_records_come_back_byte_for_byte_in_every_framing() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let dir = std::env::var("OPENTRAIL_SHARED_DATA").unwrap_or_else(|_| beside.to_owned());
    let Ok(files) = std::fs::read_dir(&dir) else {
        eprintln!("skipped: no real records in {dir}; set OPENTRAIL_SHARED_DATA to where they are");
        return;
    };
    let paths =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "ndjson"));
    let text: String = paths.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let lines: Vec<&str> = text.lines().collect();
    assert!(!lines.is_empty(), "{dir} holds no records");
    let list = lines.join(",\n");
    for body in [text.clone(), format!("[{list}]"), format!("{{\"Records\":[{list}]}}")] {
        let journal = Arc::new(MemoryJournal::default());
        let report = put(&ingest(&journal), &gzip(body.as_bytes()), Encoding::Gzip).await.unwrap();
        assert_eq!(report.refused, []);
        assert_eq!((report.accepted + report.duplicates) as usize, lines.len());
        let kept = kept(&*journal).await;
        assert!(kept.iter().all(|entry| lines.contains(&std::str::from_utf8(&entry.body).unwrap())));
    }
}
