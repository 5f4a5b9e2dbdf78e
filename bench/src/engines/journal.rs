use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use opentrail_journal::{Journal, NewEntry, SegmentsJournal, SegmentsOptions};
use opentrail_model::{AccountId, Source};
use opentrail_runtime::{Clock, SystemClock};

use super::Engine;
use crate::records::ACCOUNT;

pub fn open(dir: &Path) -> anyhow::Result<Arc<dyn Journal>> {
    Ok(Arc::new(SegmentsJournal::open(dir, SegmentsOptions::default())?))
}

/// OpenTrail's journal with the server's own settings.
#[derive(Debug)]
pub struct Writer {
    journal: Arc<dyn Journal>,
    account: AccountId,
}

impl Writer {
    pub fn new(journal: &Arc<dyn Journal>) -> Self {
        Self { journal: Arc::clone(journal), account: ACCOUNT.parse().expect("the constant is an account") }
    }
}

#[async_trait]
impl Engine for Writer {
    async fn append(&mut self, batch: &[Bytes]) -> anyhow::Result<()> {
        let received = SystemClock.now();
        let entry =
            |body: &Bytes| NewEntry { source: Source::Records, account: self.account, received, body: body.clone() };
        self.journal.append(batch.iter().map(entry).collect()).await?;
        Ok(())
    }
}
