//! What an acknowledged append costs, sync included: batches of 500 and single records, by one and by many at once.

use std::sync::Arc;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use opentrail_journal::{Journal, NewEntry, SegmentsJournal, SegmentsOptions};
use opentrail_model::{Source, Timestamp};

/// A record of the size that real ones have on average.
const RECORD_BYTES: usize = 1250;

fn batch(count: usize) -> Vec<NewEntry> {
    let entry = NewEntry {
        source: Source::Records,
        account: "111122223333".parse().expect("twelve digits"),
        received: Timestamp::EPOCH,
        body: Bytes::from(vec![b'x'; RECORD_BYTES]),
    };
    vec![entry; count]
}

fn append(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("threads start");
    let mut group = c.benchmark_group("append");
    group.sample_size(20);
    for (records, appenders) in [(1, 1), (1, 64), (500, 1), (500, 4), (500, 16)] {
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        let journal = SegmentsJournal::open(dir.path(), SegmentsOptions::default()).expect("the directory is empty");
        let journal: Arc<dyn Journal> = Arc::new(journal);
        group.throughput(Throughput::Elements((records * appenders) as u64));
        group.bench_function(BenchmarkId::new(format!("{records} records"), format!("{appenders} at once")), |b| {
            b.to_async(&runtime).iter(|| async {
                let mut running = tokio::task::JoinSet::new();
                for _ in 0..appenders {
                    let (journal, batch) = (Arc::clone(&journal), batch(records));
                    running.spawn(async move { journal.append(batch).await });
                }
                while let Some(done) = running.join_next().await {
                    done.expect("appends do not panic").expect("the disk takes what is written");
                }
                // Keeps the bench's files small; deleting whole files is what the server does as well.
                journal.trim(journal.tail()).await.expect("old segments can be deleted");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
