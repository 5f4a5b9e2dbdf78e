use std::time::Duration;

use opentrail_catalog::{CatalogError, Change, Expect};
use opentrail_runtime::CrashPoint;
use tracing::warn;

use crate::queries::{KIND, blocking};
use crate::{Queries, QueryError};

const EVERY: Duration = Duration::from_secs(60);
/// As often at the most, where queries are kept for a short time only, as in tests.
const AT_LEAST: Duration = Duration::from_millis(500);

impl Queries {
    /// Lets queries go whose time has come, until the shutdown begins.
    pub(crate) async fn run_upkeep(self) -> Result<(), CatalogError> {
        let every = (self.inner.options.history / 10).clamp(AT_LEAST, EVERY);
        loop {
            if let Err(error) = self.expire().await {
                warn!(%error, "queries could not be let go; trying again soon");
            }
            tokio::select! {
                () = self.inner.clock.sleep(every) => {}
                () = self.inner.tasks.shutdown().begun() => return Ok(()),
            }
        }
    }

    /// Removes rows, then documents: after a crash in between the rest goes the next time.
    pub(crate) async fn expire(&self) -> Result<(), QueryError> {
        let until = self.inner.clock.now() - self.inner.options.history;
        for key in self.inner.index.old(until) {
            let (results, id) = (self.inner.results.clone(), key.id);
            blocking(move || results.remove(id)).await?;
            CrashPoint::QueriesExpired.reach();
            let change = Change::delete(KIND, key.to_string(), Expect::Anything);
            self.inner.catalog.commit(vec![change]).await?;
            self.inner.index.remove(&key);
        }
        self.expire_generated(until).await?;
        Ok(())
    }
}
