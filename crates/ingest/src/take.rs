use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use metrics::counter;
use opentrail_journal::NewEntry;
use opentrail_model::{Source, Timestamp};

use crate::batch::{Appending, Batch};
use crate::decode::{Decoder, Encoding};
use crate::dedup::Reserved;
use crate::error::{End, IngestError};
use crate::put::{AccountRule, Ingest};
use crate::record;
use crate::report::Report;
use crate::split::{Piece, Splitter};

/// Bytes that are decoded before what came out is cut into records.
const PIECE_BYTES: usize = 64 << 10;
/// A body that pauses this long gets what it gave so far appended, so that nobody waits for its reservations.
const PAUSE: Duration = Duration::from_millis(200);
/// A body that pauses this long is given up.
const STALL: Duration = Duration::from_secs(60);

/// One request under way.
pub(crate) struct Put<'a> {
    ingest: &'a Ingest,
    source: Source,
    account: AccountRule,
    request: u64,
    /// When the bytes at hand came.
    received: Timestamp,
    /// What is gathered. A full batch stays until the next record comes: the last one goes with the call's event.
    batch: Batch,
    /// The batch before, on its way into the journal.
    appending: Option<Appending>,
    report: Report,
    /// Of the next record of the body.
    index: u64,
}

impl<'a> Put<'a> {
    pub(crate) fn new(ingest: &'a Ingest, source: Source, account: AccountRule) -> Self {
        Self {
            ingest,
            source,
            account,
            request: ingest.dedup.request(),
            received: ingest.clock.now(),
            batch: Batch::new(ingest.dedup.clone()),
            appending: None,
            report: Report::default(),
            index: 0,
        }
    }

    /// Takes the records of a body. The last of them are not durable before [`finish`](Self::finish).
    pub(crate) async fn take<E: fmt::Display>(
        &mut self,
        mut body: Pin<&mut impl Stream<Item = Result<Bytes, E>>>,
        encoding: Encoding,
    ) -> Result<(), End> {
        let mut decoder = Decoder::new(encoding).map_err(End::Encoding)?;
        let mut splitter = Splitter::new();
        let mut decoded = BytesMut::new();
        let mut total = 0_u64;
        while let Some(chunk) = self.next_chunk(&mut body).await? {
            if encoding == Encoding::Identity {
                // Cut where it lies: records are slices of the chunk.
                self.split(&mut splitter, chunk, &mut total).await?;
                continue;
            }
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let taken = decoder.decode(&rest[..rest.len().min(PIECE_BYTES)], &mut decoded);
                let Ok(taken) = taken.as_ref() else {
                    // What was decoded until here is good.
                    self.split(&mut splitter, decoded.split().freeze(), &mut total).await?;
                    return Err(End::Encoding(taken.err().unwrap_or_default()));
                };
                rest = &rest[*taken..];
                if decoded.len() >= PIECE_BYTES || (rest.is_empty() && !decoded.is_empty()) {
                    self.split(&mut splitter, decoded.split().freeze(), &mut total).await?;
                }
            }
        }
        let finished = decoder.finish(&mut decoded);
        self.split(&mut splitter, decoded.freeze(), &mut total).await?;
        finished.map_err(End::Encoding)?;
        let mut pieces = Vec::new();
        let ended = splitter.finish(&mut pieces);
        self.add_all(pieces).await?;
        ended.map_err(|error| End::Framing(error.offset, error.reason))
    }

    /// The body's next bytes. A slow body gets what it gave so far appended meanwhile.
    async fn next_chunk<E: fmt::Display>(
        &mut self,
        body: &mut Pin<&mut impl Stream<Item = Result<Bytes, E>>>,
    ) -> Result<Option<Bytes>, End> {
        let clock = Arc::clone(&self.ingest.clock);
        let stalled = clock.sleep(STALL);
        tokio::pin!(stalled);
        loop {
            tokio::select! {
                biased;
                chunk = body.next() => return chunk.transpose().map_err(|error| End::Body(error.to_string())),
                () = clock.sleep(PAUSE), if !self.batch.is_empty() => self.append_all().await?,
                () = &mut stalled => {
                    return Err(End::Body(format!("nothing came for {} seconds", STALL.as_secs())));
                }
            }
        }
    }

    /// Cuts decoded bytes into records and takes those.
    async fn split(&mut self, splitter: &mut Splitter, bytes: Bytes, total: &mut u64) -> Result<(), End> {
        counter!("opentrail_ingest_decoded_bytes_total").increment(bytes.len() as u64);
        self.received = self.ingest.clock.now();
        let limit = self.ingest.max_decoded_bytes;
        let mut at = 0;
        while at < bytes.len() {
            let mut pieces = Vec::new();
            let cut = splitter.push(&bytes, at, &mut pieces);
            *total += cut.as_ref().map_or(0, |next| next - at) as u64;
            if *total > limit {
                return Err(End::TooLarge(limit));
            }
            self.add_all(pieces).await?;
            // Cutting and checking is work: others have their turn before the next piece.
            tokio::task::yield_now().await;
            at = cut.map_err(|error| End::Framing(error.offset, error.reason))?;
        }
        Ok(())
    }

    async fn add_all(&mut self, pieces: Vec<Piece>) -> Result<(), End> {
        for piece in pieces {
            self.add(piece).await?;
        }
        Ok(())
    }

    /// Takes one record into the batch, or says why not.
    async fn add(&mut self, piece: Piece) -> Result<(), End> {
        let index = self.index;
        self.index += 1;
        let checked = piece.map_err(|error| error.to_string()).and_then(|bytes| {
            let envelope = record::envelope(&bytes).map_err(|error| error.to_string())?;
            let account = self.account.recipient(envelope.account)?;
            let id = envelope.event_id;
            let fingerprint = id.map(|id| self.ingest.dedup.fingerprint(account, &id, &bytes));
            Ok((account, fingerprint, bytes))
        });
        let (account, fingerprint, body) = match checked {
            Ok(checked) => checked,
            Err(reason) => {
                self.report.refuse(index, reason);
                return Ok(());
            }
        };
        if self.batch.is_full() {
            self.append().await?;
        }
        if let Some(fingerprint) = fingerprint {
            loop {
                match self.ingest.dedup.reserve(fingerprint, self.request) {
                    Reserved::New => break self.batch.fingerprints.push(fingerprint),
                    Reserved::Duplicate => {
                        self.report.duplicates += 1;
                        return Ok(());
                    }
                    Reserved::Elsewhere => {
                        // Whoever waits holds nothing that another could wait for.
                        self.append_all().await?;
                        self.ingest.dedup.wait(fingerprint).await;
                    }
                }
            }
        }
        self.batch.push(NewEntry { source: self.source, account, received: self.received, body });
        Ok(())
    }

    /// Sends the batch on its way once the one before has arrived: records are kept in their order, and a request
    /// holds two batches at most.
    async fn append(&mut self) -> Result<(), End> {
        self.arrive().await?;
        let batch = std::mem::replace(&mut self.batch, Batch::new(self.ingest.dedup.clone()));
        self.appending = Some(batch.append(Arc::clone(&self.ingest.journal), &self.ingest.tasks));
        Ok(())
    }

    /// Makes all records so far durable.
    async fn append_all(&mut self) -> Result<(), End> {
        if !self.batch.is_empty() {
            self.append().await?;
        }
        self.arrive().await
    }

    /// Waits for the batch that is on its way.
    async fn arrive(&mut self) -> Result<(), End> {
        let Some(appending) = self.appending.take() else { return Ok(()) };
        let arrived = appending.await.map_err(End::Unavailable)?;
        self.report.accepted += arrived.records;
        if let Some((first, last)) = arrived.positions {
            self.report.first_position.get_or_insert(first);
            self.report.last_position = Some(last);
        }
        Ok(())
    }

    /// Makes the rest durable, the event of the call with it, after a body that was `taken` to its end or not.
    pub(crate) async fn finish(
        mut self,
        taken: Result<(), End>,
        event: impl FnOnce(&Result<Report, IngestError>) -> Option<NewEntry>,
    ) -> Result<Report, IngestError> {
        // What was cut off before the body went wrong is good, unless it is the journal that takes nothing.
        let taken = match taken {
            Err(End::Unavailable(reason)) => Err(End::Unavailable(reason)),
            taken => self.arrive().await.and(taken),
        };
        if let Err(End::Unavailable(reason)) = taken {
            return Err(End::Unavailable(reason).with(self.report));
        }
        let promised = Report { accepted: self.report.accepted + self.batch.records(), ..self.report.clone() };
        let mut outcome = match taken {
            Ok(()) => Ok(promised),
            Err(end) => Err(end.with(promised)),
        };
        self.batch.close(event(&outcome));
        if let Err(end) = self.append_all().await {
            return Err(end.with(self.report));
        }
        match &mut outcome {
            Ok(report) => *report = self.report,
            Err(error) => *error.report_mut() = self.report,
        }
        outcome
    }
}
