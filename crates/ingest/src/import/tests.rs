use std::collections::HashSet;
use std::io::Write;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use opentrail_journal::{Journal, MemoryJournal};
use opentrail_model::{Position, Source, Timestamp};
use opentrail_runtime::{ManualClock, Shutdown};
use parking_lot::Mutex;

use super::*;
use crate::{AccountRule, DedupWindow, Ingest};

/// Puts files into a journal of its own, without a server between.
struct Direct {
    ingest: Ingest,
    journal: Arc<MemoryJournal>,
    done: Mutex<HashSet<(String, String)>>,
    /// Begun after so many files.
    stop_after: Option<(usize, Shutdown)>,
}

fn direct() -> Direct {
    let journal = Arc::new(MemoryJournal::default());
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let ingest = Ingest::new(Arc::clone(&journal) as Arc<dyn Journal>, clock, DedupWindow::new(1000));
    Direct { ingest, journal, done: Mutex::default(), stop_after: None }
}

#[async_trait]
impl Sink for Direct {
    async fn is_done(&self, name: &str, etag: &str) -> Result<bool, SinkError> {
        Ok(self.done.lock().contains(&(name.to_owned(), etag.to_owned())))
    }

    async fn put_file(&self, name: &str, etag: &str, body: FileBody) -> Result<Report, SinkError> {
        let rule = AccountRule::allowing("111122223333".parse().unwrap(), |_| true);
        let put = self.ingest.put_records(body.stream, body.encoding, Source::Import, rule).await;
        let report = put.map_err(|error| SinkError::File { reason: error.to_string() })?;
        let mut done = self.done.lock();
        done.insert((name.to_owned(), etag.to_owned()));
        if let Some((files, stop)) = &self.stop_after
            && done.len() >= *files
        {
            stop.begin();
        }
        Ok(report)
    }
}

fn record(id: u32) -> String {
    format!("{{\"eventID\":\"{id}\",\"eventName\":\"GetObject\"}}")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn store(files: &[(&str, Vec<u8>)]) -> Arc<dyn ObjectStore> {
    let store = InMemory::new();
    for (name, bytes) in files {
        store.put(&Path::from(*name), bytes.clone().into()).await.unwrap();
    }
    Arc::new(store)
}

fn import(store: &Arc<dyn ObjectStore>, prefix: Option<&str>) -> Import {
    Import::new(Arc::clone(store), prefix.map(Path::from), Arc::new(ManualClock::new(Timestamp::EPOCH)))
}

#[tokio::test]
async fn a_tree_of_log_files_is_put_and_everything_else_told_apart() {
    let document = format!("{{\"Records\":[{},{}]}}", record(1), record(2));
    let store = store(&[
        ("AWSLogs/1/CloudTrail/a.json.gz", gzip(&document)),
        ("AWSLogs/1/CloudTrail/b.ndjson", format!("{}\nbroken\n{}\n", record(2), record(3)).into()),
        ("AWSLogs/1/CloudTrail/c.json", b"{\"Records\":[".to_vec()),
        ("AWSLogs/1/CloudTrail-Digest/d.json.gz", gzip("{}")),
        ("AWSLogs/1/CloudTrail/readme.txt", b"hello".to_vec()),
        ("other/e.json", record(9).into()),
    ])
    .await;
    let sink = direct();
    let import = import(&store, Some("AWSLogs")).with_parallel(1);
    let progress = import.progress();
    let summary = import.run(&sink, &Shutdown::new()).await.unwrap();
    assert_eq!((summary.files, summary.digest_files, summary.other_files), (2, 1, 1));
    assert_eq!((summary.accepted, summary.duplicates, summary.refused_count, summary.failed_count), (3, 1, 1, 1));
    assert_eq!((summary.refused[0].file.as_str(), summary.refused[0].index), ("AWSLogs/1/CloudTrail/b.ndjson", 1));
    assert_eq!(summary.failed[0].file, "AWSLogs/1/CloudTrail/c.json");
    let progress = *progress.borrow();
    assert_eq!((progress.files_done, progress.accepted, progress.duplicates, progress.refused), (3, 3, 1, 1));
    assert_eq!(sink.journal.tail(), Position(3));
}

#[tokio::test]
async fn an_import_that_was_stopped_goes_on_without_doing_work_twice() {
    let files: Vec<(String, Vec<u8>)> = (0..20).map(|id| (format!("f{id:02}.json"), record(id).into())).collect();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let store = store(&files).await;
    let stop = Shutdown::new();
    let mut sink = Direct { stop_after: Some((5, stop.clone())), ..direct() };
    let first = import(&store, None).with_parallel(2).run(&sink, &stop).await.unwrap();
    assert!(first.stopped && first.files >= 5 && first.files < 20, "{first:?}");
    sink.stop_after = None;
    let second = import(&store, None).run(&sink, &Shutdown::new()).await.unwrap();
    assert_eq!((second.files_done_before, second.files, second.stopped), (first.files, 20 - first.files, false));
    assert_eq!((sink.journal.tail(), second.duplicates), (Position(20), 0));
}

#[tokio::test]
async fn a_directory_is_walked_like_a_bucket() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/b c")).unwrap();
    std::fs::write(dir.path().join("a/b c/x.json.gz"), gzip(&record(1))).unwrap();
    std::fs::write(dir.path().join("y.ndjson"), record(2)).unwrap();
    let (store, sink) = (directory(dir.path()).unwrap(), direct());
    for done_before in [0, 2] {
        let summary = import(&store, None).run(&sink, &Shutdown::new()).await.unwrap();
        assert_eq!((summary.files_done_before, summary.files + done_before), (done_before, 2));
    }
    assert!(directory(&dir.path().join("missing")).is_err());
}

struct Closed;

#[async_trait]
impl Sink for Closed {
    async fn is_done(&self, _: &str, _: &str) -> Result<bool, SinkError> {
        Err(SinkError::Stop { reason: "the access key is unknown".into() })
    }

    async fn put_file(&self, _: &str, _: &str, _: FileBody) -> Result<Report, SinkError> {
        unreachable!("no file is put after a refusal")
    }
}

#[tokio::test]
async fn a_sink_that_takes_nothing_ends_the_import() {
    let store = store(&[("a.json", b"{}".to_vec()), ("b.json", b"{}".to_vec())]).await;
    let ended = import(&store, None).run(&Closed, &Shutdown::new()).await;
    assert_eq!(ended.unwrap_err().to_string(), "the access key is unknown");
}

#[test]
fn the_rest_is_told_once_everything_is_found() {
    let seconds = std::time::Duration::from_secs;
    let mut progress =
        Progress { bytes_found: 400, bytes_done: 200, bytes_skipped: 100, elapsed: seconds(10), ..Progress::default() };
    progress.accepted = 50;
    assert_eq!((progress.remaining(), progress.records_per_second()), (None, 5.0));
    progress.all_found = true;
    assert_eq!(progress.remaining(), Some(seconds(20)));
}
