use std::sync::Arc;

use bytes::Bytes;
use metrics::counter;
use opentrail_journal::NewEntry;
use opentrail_model::{AccountId, Position, Source};

use crate::batch::Batch;
use crate::dedup::{Fingerprint, Reserved};
use crate::error::{End, IngestError};
use crate::put::Ingest;
use crate::record;
use crate::report::Report;

/// Records that were appended together with the entry that closes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// What became of the records.
    pub report: Report,
    /// The position of the closing entry.
    pub closed: Position,
}

impl Ingest {
    /// Appends records that were checked before ([`crate::check`]), but those that are known, and an entry that closes
    /// them: in one batch, so that either all of these are kept or none. `close` makes the entry of what becomes of the
    /// records; it may be called more than once, and the report given to it has no positions yet.
    ///
    /// All of it is held in memory: a batch is to have a few megabytes.
    ///
    /// # Errors
    /// [`IngestError::Unavailable`] when nothing was kept.
    ///
    /// # Cancellation
    /// May be dropped: what is being appended then is appended to its end and known afterwards.
    pub async fn append_whole(
        &self,
        source: Source,
        records: Vec<(AccountId, Bytes)>,
        close: impl Fn(&Report) -> NewEntry,
    ) -> Result<Whole, IngestError> {
        let request = self.dedup.request();
        let fingerprint = |(account, raw): &(AccountId, Bytes)| {
            let id = record::envelope(raw).ok()?.event_id?;
            Some(self.dedup.fingerprint(*account, &id, raw))
        };
        let fingerprints: Vec<Option<Fingerprint>> = records.iter().map(fingerprint).collect();
        let (batch, report) = loop {
            match self.reserve_all(source, &records, &fingerprints, request) {
                Ok(reserved) => break reserved,
                // Whoever waits holds nothing that another could wait for: then all are looked at again.
                Err(elsewhere) => self.dedup.wait(elsewhere).await,
            }
        };
        let (mut batch, mut report) = (batch, report);
        batch.close(Some(close(&report)));
        let appended = batch.append(Arc::clone(&self.journal), &self.tasks).await;
        let arrived =
            appended.map_err(|reason| End::Unavailable(reason).with(Report { accepted: 0, ..report.clone() }))?;
        if let Some((first, last)) = arrived.positions {
            (report.first_position, report.last_position) = (Some(first), Some(last));
        }
        counter!("opentrail_ingest_records_total", "outcome" => "accepted").increment(report.accepted);
        counter!("opentrail_ingest_records_total", "outcome" => "duplicate").increment(report.duplicates);
        Ok(Whole { report, closed: arrived.last })
    }

    /// A batch of what is new, reserved; or a record that another request is about to append, and nothing reserved.
    fn reserve_all(
        &self,
        source: Source,
        records: &[(AccountId, Bytes)],
        fingerprints: &[Option<Fingerprint>],
        request: u64,
    ) -> Result<(Batch, Report), Fingerprint> {
        let (mut batch, mut report) = (Batch::new(self.dedup.clone()), Report::default());
        let received = self.clock.now();
        for ((account, raw), fingerprint) in records.iter().zip(fingerprints) {
            if let Some(fingerprint) = *fingerprint {
                match self.dedup.reserve(fingerprint, request) {
                    Reserved::New => batch.fingerprints.push(fingerprint),
                    Reserved::Duplicate => {
                        report.duplicates += 1;
                        continue;
                    }
                    Reserved::Elsewhere => return Err(fingerprint),
                }
            }
            batch.push(NewEntry { source, account: *account, received, body: raw.clone() });
        }
        report.accepted = batch.records();
        Ok((batch, report))
    }
}
