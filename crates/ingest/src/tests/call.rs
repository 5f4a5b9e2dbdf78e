//! Puts that are events themselves, and how records and event go into the journal.

use super::*;

fn event(outcome: &Result<Report, IngestError>) -> NewEntry {
    let said = match outcome {
        Ok(report) => format!("{{\"accepted\":{},\"duplicates\":{}}}", report.accepted, report.duplicates),
        Err(error) => format!("{{\"error\":{:?}}}", error.to_string()),
    };
    let account = CALLER.parse().unwrap();
    NewEntry { source: Source::Api, account, received: Timestamp::EPOCH, body: said.into() }
}

async fn call(ingest: &Ingest, body: impl Stream<Item = Result<Bytes, &'static str>>) -> Result<Report, IngestError> {
    ingest.put_records_of_call(body, Encoding::Identity, Source::Records, rule(), event).await
}

fn whole(numbers: std::ops::Range<u32>) -> impl Stream<Item = Result<Bytes, &'static str>> {
    stream::iter([Ok(Bytes::from(numbers.map(record).collect::<Vec<_>>().join("\n")))])
}

/// The journal's batches: how many records and what events each holds, in order.
async fn batches(journal: &dyn Journal) -> Vec<(usize, Vec<String>)> {
    let (mut out, mut after) = (Vec::new(), Position::START);
    while after < journal.tail() {
        // No more than one batch is read at once.
        let batch = journal.read(after, 1).await.unwrap();
        after = batch.last().unwrap().position;
        let records = batch.iter().take_while(|entry| entry.source == Source::Records).count();
        let events = batch[records..].iter().inspect(|entry| assert_eq!(entry.source, Source::Api));
        out.push((records, events.map(|entry| String::from_utf8(entry.body.to_vec()).unwrap()).collect()));
    }
    out
}

fn said(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

#[tokio::test]
async fn the_last_records_and_the_event_of_their_call_are_one_append() {
    for (records, expected) in [
        (1, vec![(1, said(r#"{"accepted":1,"duplicates":0}"#))]),
        (500, vec![(500, said(r#"{"accepted":500,"duplicates":0}"#))]),
        (501, vec![(500, vec![]), (1, said(r#"{"accepted":501,"duplicates":0}"#))]),
    ] {
        let journal = Arc::new(MemoryJournal::default());
        let report = call(&ingest(&journal), whole(0..records)).await.unwrap();
        assert_eq!(batches(&*journal).await, expected);
        let last = Position(u64::from(records));
        assert_eq!((report.first_position, report.last_position), (Some(Position(1)), Some(last)));
        assert_eq!(journal.tail(), last.next(), "the event stands behind the records");
    }
}

#[tokio::test]
async fn a_call_that_keeps_no_record_is_an_event_all_the_same() {
    let journal = Arc::new(MemoryJournal::default());
    let ingest = ingest(&journal);
    call(&ingest, whole(0..2)).await.unwrap();
    let again = call(&ingest, whole(0..2)).await.unwrap();
    assert_eq!((again.accepted, again.duplicates, again.first_position), (0, 2, None));
    assert_eq!(batches(&*journal).await[1..], [(0, said(r#"{"accepted":0,"duplicates":2}"#))]);
}

#[tokio::test]
async fn the_event_of_a_body_that_breaks_off_says_so_and_counts_what_is_kept_with_it() {
    let journal = Arc::new(MemoryJournal::default());
    let body = stream::iter([Ok(Bytes::from(record(1) + "\n" + &record(2)[..9])), Err("connection reset")]);
    let error = call(&ingest(&journal), body).await.unwrap_err();
    assert_eq!((error.report().accepted, error.report().last_position), (1, Some(Position(1))));
    let expected = r#"{"error":"the body broke off: connection reset; 1 records were accepted before"}"#;
    assert_eq!(batches(&*journal).await, [(1, said(expected))]);
}

#[tokio::test]
async fn an_append_that_fails_keeps_neither_the_records_nor_the_event() {
    for (records, kept) in [(3, 0), (700, 500)] {
        let journal = Gated::new(0);
        let ingest = over(Arc::clone(&journal) as Arc<dyn Journal>);
        let putting = call(&ingest, whole(0..records));
        tokio::pin!(putting);
        if kept > 0 {
            journal.gate.add_permits(1);
            while journal.tail() == Position::START {
                assert!(futures::poll!(putting.as_mut()).is_pending());
                tokio::task::yield_now().await;
            }
        }
        *journal.failures.lock() = 1;
        journal.gate.add_permits(1);
        let error = putting.await.unwrap_err();
        assert!(matches!(error, IngestError::Unavailable { .. }), "{error}");
        assert_eq!(error.report().accepted, kept);
        assert_eq!(journal.tail(), Position(kept));
        // What was not kept is new when it is sent again.
        journal.gate.add_permits(9);
        let again = call(&ingest, whole(0..records)).await.unwrap();
        assert_eq!((again.accepted, again.duplicates), (u64::from(records) - kept, kept));
    }
}

#[tokio::test]
async fn records_are_cut_while_the_batch_before_is_appended_and_no_further() {
    let journal = Gated::new(0);
    let ingest = over(Arc::clone(&journal) as Arc<dyn Journal>);
    let taken = Arc::new(Mutex::new(0));
    let counting = Arc::clone(&taken);
    let body = stream::iter(0..3000).map(move |number| {
        *counting.lock() += 1;
        Ok(Bytes::from(record(number) + "\n"))
    });
    let putting = call(&ingest, body);
    tokio::pin!(putting);
    for _ in 0..5000 {
        assert!(futures::poll!(putting.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(*taken.lock(), 1001, "two batches, and the record that fits neither");
    assert_eq!(journal.tail(), Position::START);
    journal.gate.add_permits(6);
    assert_eq!(putting.await.unwrap().accepted, 3000);
    let kept = batches(&*journal).await;
    assert_eq!(kept.iter().map(|(records, _)| *records).collect::<Vec<_>>(), [500; 6]);
}
