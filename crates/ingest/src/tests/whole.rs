use super::*;

fn records(ids: impl IntoIterator<Item = u32>) -> Vec<(AccountId, Bytes)> {
    ids.into_iter().map(|id| (CALLER.parse().unwrap(), Bytes::from(record(id)))).collect()
}

fn close(report: &Report) -> NewEntry {
    let (account, received) = (CALLER.parse().unwrap(), Timestamp::EPOCH);
    let body = format!("{{\"accepted\":{},\"duplicates\":{}}}", report.accepted, report.duplicates).into();
    NewEntry { source: Source::Control, account, received, body }
}

#[tokio::test]
async fn records_and_what_closes_them_are_one_batch_and_known_ones_are_left_out() {
    let journal = Gated::new(0);
    journal.gate.add_permits(2);
    let ingest = over(Arc::clone(&journal) as Arc<dyn Journal>);
    // More than a batch of a request has.
    let first = ingest.append_whole(Source::Records, records(0..2000), close).await.unwrap();
    assert_eq!(
        (first.report.accepted, first.report.first_position, first.closed),
        (2000, Some(Position(1)), Position(2001))
    );
    assert_eq!(first.report.last_position, Some(Position(2000)));
    let second = ingest.append_whole(Source::Records, records([1999, 2000, 2000]), close).await.unwrap();
    assert_eq!((second.report.accepted, second.report.duplicates, second.closed), (1, 2, Position(2003)));
    let bodies: Vec<Bytes> = kept(&*journal).await.into_iter().map(|entry| entry.body).collect();
    assert_eq!(bodies[2000], "{\"accepted\":2000,\"duplicates\":0}");
    assert_eq!(bodies[2001..], [record(2000), "{\"accepted\":1,\"duplicates\":2}".to_owned()]);
}

#[tokio::test]
async fn what_closes_is_kept_without_records_too_and_nothing_is_when_the_journal_fails() {
    let journal = Gated::new(1);
    journal.gate.add_permits(3);
    let ingest = over(Arc::clone(&journal) as Arc<dyn Journal>);
    let failed = ingest.append_whole(Source::Records, records(0..3), close).await.unwrap_err();
    assert!(matches!(failed, IngestError::Unavailable { .. }) && failed.report().accepted == 0);
    assert_eq!(journal.tail(), Position::START);
    let again = ingest.append_whole(Source::Records, records(0..3), close).await.unwrap();
    assert_eq!((again.report.accepted, again.report.duplicates), (3, 0), "they are new again");
    let empty = ingest.append_whole(Source::Records, Vec::new(), close).await.unwrap();
    assert_eq!((empty.report.first_position, empty.closed), (None, Position(5)));
}

#[tokio::test]
async fn records_that_another_request_is_about_to_append_are_waited_for() {
    let journal = Gated::new(0);
    let ingest = over(Arc::clone(&journal) as Arc<dyn Journal>);
    let body = record(1);
    let other = put(&ingest, body.as_bytes(), Encoding::Identity);
    let whole = ingest.append_whole(Source::Records, records(0..3), close);
    journal.gate.add_permits(2);
    let (other, whole) = tokio::join!(other, whole);
    assert_eq!(other.unwrap().accepted, 1);
    assert_eq!((whole.unwrap().report.accepted, kept(&*journal).await.len()), (2, 4));
}
