use super::simulated::{Fault, SimulatedDisk};
use super::*;
use crate::contract::{batch, read_all};

fn small() -> SegmentsOptions {
    SegmentsOptions { segment_bytes: 4096, cache_bytes: 3000, ..SegmentsOptions::default() }
}

fn on_files() -> (SegmentsJournal, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (SegmentsJournal::open(dir.path(), small()).unwrap(), dir)
}

fn open(disk: &SimulatedDisk) -> SegmentsJournal {
    try_open(disk).unwrap()
}

fn try_open(disk: &SimulatedDisk) -> Result<SegmentsJournal, OpenError> {
    SegmentsJournal::open_on(Arc::new(disk.clone()), small())
}

fn without_cache() -> SegmentsJournal {
    let options = SegmentsOptions { cache_bytes: 0, ..small() };
    SegmentsJournal::open_on(Arc::new(SimulatedDisk::new(1)), options).unwrap()
}

crate::journal_contract!(in_a_directory, on_files());
crate::journal_contract!(on_a_simulated_disk, (open(&SimulatedDisk::new(1)), ()));
crate::journal_contract!(without_memory, (without_cache(), ()));

/// Says where two lists differ, without printing them.
#[track_caller]
fn assert_same(found: &[NewEntry], expected: &[NewEntry], when: &str) {
    let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
    assert!(
        differs.is_none() && found.len() == expected.len(),
        "{when}: {} entries found, {} expected, first difference at {differs:?}",
        found.len(),
        expected.len()
    );
}

/// Appends `batches` batches of two and returns what was acknowledged.
async fn fill(journal: &dyn Journal, batches: std::ops::Range<u64>) -> Vec<NewEntry> {
    let mut all = Vec::new();
    for seed in batches {
        journal.append(batch(seed, 2, 400)).await.unwrap();
        all.extend(batch(seed, 2, 400));
    }
    all
}

#[tokio::test]
async fn everything_comes_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..5 {
        let journal = SegmentsJournal::open(dir.path(), small()).unwrap();
        assert_eq!(read_all(&journal, Position::START).await, expected);
        expected.extend(fill(&journal, round * 7..round * 7 + 7).await);
    }
}

#[tokio::test]
async fn what_was_trimmed_stays_trimmed_after_a_restart() {
    let disk = SimulatedDisk::new(1);
    let journal = open(&disk);
    let all = fill(&journal, 0..40).await;
    journal.trim(journal.tail()).await.unwrap();
    let trimmed = journal.trimmed();
    assert!(trimmed > Position::START);
    drop(journal);
    disk.lose_power();
    let journal = open(&disk);
    assert_eq!((journal.trimmed(), journal.tail()), (trimmed, Position(80)));
    assert_eq!(read_all(&journal, trimmed).await, all[trimmed.0 as usize..]);
}

/// Every step of every write, both ways to fail, alone and for a while: what was acknowledged, and nothing else twice,
/// is there; and the journal works again without a restart once the disk does.
#[tokio::test]
async fn a_failing_step_loses_and_repeats_nothing() {
    for fault in [Fault::Lost, Fault::Kept] {
        for step in 0..60 {
            for length in [1, 2, 4] {
                let disk = SimulatedDisk::new(step);
                let journal = open(&disk);
                let mut expected = fill(&journal, 0..3).await;
                disk.fail(step..step + length, fault);
                let mut failures = 0;
                for seed in 10..30 {
                    // A failed batch is followed by another one, which gets its positions.
                    match journal.append(batch(seed, 2, 400)).await {
                        Ok(_) => expected.extend(batch(seed, 2, 400)),
                        Err(AppendError::Unavailable { .. }) => failures += 1,
                        Err(AppendError::Closed) => panic!("the journal is open"),
                    }
                    assert_same(&read_all(&journal, Position::START).await, &expected, &format!("{fault:?} at {step}"));
                }
                assert!(failures <= length, "{failures} batches failed of {length} operations, {fault:?} at {step}");
                disk.heal();
                expected.extend(fill(&journal, 40..44).await);
                drop(journal);
                let journal = open(&disk);
                assert_same(
                    &read_all(&journal, Position::START).await,
                    &expected,
                    &format!("{fault:?} at {step}, restarted"),
                );
                disk.lose_power();
                drop(journal);
                assert_same(
                    &read_all(&open(&disk), Position::START).await,
                    &expected,
                    &format!("{fault:?} at {step}, power lost"),
                );
            }
        }
    }
}

/// A crash at every step, with and without a step that failed shortly before. What was acknowledged is there; the batch
/// that was being written may be.
#[tokio::test]
async fn a_crash_at_any_step_keeps_what_was_acknowledged() {
    for power_lost in [false, true] {
        for failing in [None, Some(Fault::Lost), Some(Fault::Kept)] {
            for step in 0..50 {
                let disk = SimulatedDisk::new(step + 1000);
                let journal = open(&disk);
                let mut expected = fill(&journal, 0..3).await;
                if let Some(fault) = failing {
                    disk.fail(step.saturating_sub(2)..step, fault);
                }
                disk.die(step);
                let mut unsure = Vec::new();
                for seed in 10..40 {
                    match journal.append(batch(seed, 2, 400)).await {
                        Ok(_) => expected.extend(batch(seed, 2, 400)),
                        Err(_) => unsure.push(batch(seed, 2, 400)),
                    }
                }
                drop(journal);
                if power_lost {
                    disk.lose_power();
                }
                disk.heal();
                let journal = open(&disk);
                let found = read_all(&journal, Position::START).await;
                let (kept, more) = found.split_at(expected.len());
                assert_same(kept, &expected, &format!("{failing:?}, crash at {step}"));
                assert!(more.is_empty() || unsure.iter().any(|batch| batch == more), "a batch is there whole or not");
                let mut expected = found;
                expected.extend(fill(&journal, 50..53).await);
                drop(journal);
                disk.lose_power();
                assert_same(
                    &read_all(&open(&disk), Position::START).await,
                    &expected,
                    &format!("after the crash at {step}"),
                );
            }
        }
    }
}

#[tokio::test]
async fn a_torn_end_is_cut_off_at_every_byte() {
    let disk = SimulatedDisk::new(1);
    let journal = open(&disk);
    let expected = fill(&journal, 0..1).await;
    let kept = journal.shared.stored.lock().extents[0].end as usize;
    journal.append(batch(1, 1, 40)).await.unwrap();
    let end = journal.shared.stored.lock().extents[0].end as usize;
    disk.die(0);
    drop(journal);
    for cut in kept..end {
        let torn = SimulatedDisk::new(1);
        drop(open(&torn));
        let mut bytes = disk.bytes(&segment::name(Position(1)));
        bytes[cut..].fill(0);
        if bytes[..end] == disk.bytes(&segment::name(Position(1)))[..end] {
            continue;
        }
        torn.damage(&segment::name(Position(1)), |file| *file = bytes.clone());
        assert_same(&read_all(&open(&torn), Position::START).await, &expected, &format!("all zero from byte {cut}"));
        bytes.truncate(cut);
        torn.damage(&segment::name(Position(1)), |file| *file = bytes);
        assert_same(&read_all(&open(&torn), Position::START).await, &expected, &format!("file ends at byte {cut}"));
    }
}

#[tokio::test]
async fn a_flipped_byte_before_the_end_is_refused_by_file_and_offset() {
    let disk = SimulatedDisk::new(1);
    let journal = open(&disk);
    fill(&journal, 0..9).await;
    let extents = journal.shared.stored.lock().extents.clone();
    assert!(extents.len() > 2);
    drop(journal);
    for extent in &extents {
        let name = segment::name(extent.first);
        for at in (0..extent.end as usize).step_by(7) {
            disk.damage(&name, |bytes| bytes[at] ^= 4);
            match try_open(&disk) {
                Err(OpenError::Corrupt { file, offset, .. }) => {
                    assert_eq!(file, format!("journal/{name}"));
                    assert!(offset as usize <= at, "byte {at} reported at {offset}");
                }
                other => panic!("byte {at} of {name}: expected a refusal, found {other:?}"),
            }
            disk.damage(&name, |bytes| bytes[at] ^= 4);
        }
    }
    open(&disk);
}

#[tokio::test]
async fn a_missing_segment_is_refused() {
    let disk = SimulatedDisk::new(1);
    let journal = open(&disk);
    fill(&journal, 0..20).await;
    let middle = journal.shared.stored.lock().extents[1].first;
    drop(journal);
    disk.remove(&segment::name(middle)).unwrap();
    assert!(matches!(try_open(&disk), Err(OpenError::Corrupt { .. })));
}

#[tokio::test]
async fn damage_that_comes_while_running_is_never_read_as_truth() {
    let disk = SimulatedDisk::new(1);
    let journal = open(&disk);
    fill(&journal, 0..20).await;
    disk.damage(&segment::name(Position(1)), |bytes| bytes[200] ^= 1);
    match journal.read(Position::START, 1).await {
        Err(ReadError::Corrupt { file, offset, .. }) => {
            assert_eq!((file, offset), (format!("journal/{}", segment::name(Position(1))), segment::HEADER));
        }
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[tokio::test]
async fn a_later_format_is_refused_by_its_number() {
    let disk = SimulatedDisk::new(1);
    drop(open(&disk));
    disk.damage(&segment::name(Position(1)), |bytes| {
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    });
    assert!(matches!(try_open(&disk), Err(OpenError::Version { version: 2, .. })));
}

#[tokio::test]
async fn a_batch_larger_than_a_segment_gets_one_of_its_own() {
    let disk = SimulatedDisk::new(1);
    let journal = open(&disk);
    let mut expected = fill(&journal, 0..1).await;
    journal.append(batch(5, 3, 9000)).await.unwrap();
    expected.extend(batch(5, 3, 9000));
    expected.extend(fill(&journal, 6..8).await);
    drop(journal);
    assert_eq!(read_all(&open(&disk), Position::START).await, expected);
}

#[tokio::test]
async fn waiting_batches_are_bounded_and_all_of_them_are_written() {
    let options = SegmentsOptions { queue_batches: 2, queue_bytes: 2000, ..small() };
    let journal = SegmentsJournal::open_on(Arc::new(SimulatedDisk::new(1)), options).unwrap();
    crate::contract::concurrent_appends_keep_their_batches_together(&journal).await;
}

/// Format 1, as it was first written: to be read forever.
#[tokio::test]
async fn a_segment_of_format_1_is_readable() {
    let frozen = include_bytes!("../../tests/formats/v1-00000000000000000041.log");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("00000000000000000041.log"), frozen).unwrap();
    let journal = SegmentsJournal::open(dir.path(), small()).unwrap();
    assert_eq!((journal.trimmed(), journal.tail()), (Position(40), Position(48)));
    let expected: Vec<NewEntry> = [batch(1, 5, 30), batch(2, 1, 0), batch(3, 2, 9)].concat();
    assert_eq!(read_all(&journal, Position(40)).await, expected);
    journal.append(batch(4, 1, 10)).await.unwrap();
}

mod random {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Append { count: usize, size: usize },
        Reopen,
        LosePower,
        Tear { keep: prop::sample::Index },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (1..6usize, 0..900usize).prop_map(|(count, size)| Step::Append { count, size }),
            1 => Just(Step::Reopen),
            1 => Just(Step::LosePower),
            1 => any::<prop::sample::Index>().prop_map(|keep| Step::Tear { keep }),
        ];
        prop::collection::vec(step, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn exactly_the_acknowledged_prefix_comes_back(steps in steps(), seed in 0..1000u64) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let disk = SimulatedDisk::new(seed);
                let mut journal = open(&disk);
                let mut expected = Vec::new();
                for (number, step) in steps.into_iter().enumerate() {
                    match step {
                        Step::Append { count, size } => {
                            let new = batch(number as u64, count, size);
                            journal.append(new.clone()).await.unwrap();
                            expected.extend(new);
                            continue;
                        }
                        Step::Reopen => drop(journal),
                        Step::LosePower => {
                            disk.die(0);
                            drop(journal);
                            disk.lose_power();
                        }
                        Step::Tear { keep } => {
                            // A write was under way: some of its pages are there.
                            let (name, end) = {
                                let stored = journal.shared.stored.lock();
                                let last = stored.extents.back().unwrap();
                                (segment::name(last.first), last.end as usize)
                            };
                            let next = journal.tail().next();
                            disk.die(0);
                            drop(journal);
                            let frame = frame::encode(next, std::iter::once(batch(7, 3, 500).as_slice()));
                            let keep = keep.index(frame.len() - 1);
                            disk.damage(&name, |bytes| {
                                bytes.resize(bytes.len().max(end + frame.len()), 0);
                                bytes[end + keep..end + frame.len()].copy_from_slice(&frame[keep..]);
                                bytes[end + keep] ^= 0x40;
                            });
                            disk.heal();
                        }
                    }
                    journal = open(&disk);
                    assert_eq!(read_all(&journal, Position::START).await, expected);
                }
                assert_eq!(read_all(&journal, Position::START).await, expected);
            });
        }
    }
}
