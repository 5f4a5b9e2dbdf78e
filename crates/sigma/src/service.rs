//! Rules and findings of a server: loaded, listed, removed, run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentrail_model::{AccountId, Position};
use opentrail_projection::Feed;
use opentrail_runtime::{Clock, CrashPoint};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};

use crate::accounts::{Accounts, reread};
use crate::plan::{plan, still_run};
use crate::store::{FindingPage, FindingQuery, NewRule, RuleChange, Store, StoreError, StoredRule};
use crate::{Reason, Refused, Rule, RuleHead};

/// How long and how many findings are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Findings are kept for this long after they were found.
    pub retention: Duration,
    /// Of all accounts; of more the oldest are given up.
    pub most_findings: u64,
    /// Of the file; where it takes more, the oldest findings are given up.
    pub most_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { retention: Duration::from_secs(90 * 86_400), most_findings: 1_000_000, most_bytes: 8 << 30 }
    }
}

/// Rules and findings of all accounts.
#[derive(Debug)]
pub struct Sigma {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    feed: Arc<Feed>,
    pub(crate) accounts: Arc<Mutex<Accounts>>,
    /// Held by whoever changes rules, from reading them to committing the change.
    changing: AsyncMutex<()>,
    /// Held while rules change, and while a batch is looked at: a change takes effect at one position, live and on replay.
    pub(crate) turn: AsyncMutex<()>,
    /// The file has changes of rules that `accounts` may not have.
    pub(crate) stale: AtomicBool,
    /// All up to here is looked at, durably or not.
    pub(crate) reached: watch::Sender<Position>,
    /// There are findings to hand on.
    pub(crate) found: Notify,
}

/// What became of rules that were to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// They apply to what comes after this position of the journal.
    pub position: Position,
    /// New ones and new versions, in the order of the files.
    pub loaded: Vec<RuleHead>,
    /// Those that are loaded with the same text already, and go on.
    pub unchanged: Vec<RuleHead>,
    /// Those that do not run here; where one is another version of a loaded rule, that one stays.
    pub refused: Vec<Refused>,
}

/// What became of rules that were to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// They do not apply to what comes after this position of the journal.
    pub position: Position,
    /// Their ids.
    pub removed: Vec<String>,
    /// Ids of which there is no rule.
    pub not_found: Vec<String>,
}

/// Why rules were not changed at all.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError {
    /// A rule that stays loaded refers to one that would go.
    #[error("the rule '{rule}' would not run any more: {reason}; change or remove it at the same time")]
    StillNeeded {
        /// Its title.
        rule: String,
        /// What it lacks.
        reason: Reason,
    },
    /// The file failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work was given up, as at a shutdown.
    #[error("the rules were not read: {reason}")]
    Interrupted {
        /// Why.
        reason: String,
    },
}

impl Sigma {
    /// Opens the file of rules and findings at `path`, creating it when absent. Rules take effect along `feed`.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened, or is of another version.
    pub async fn open(
        path: &Path,
        feed: Arc<Feed>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Arc<Self>, StoreError> {
        let sigma = Self {
            store: Store::open(path).await?,
            settings,
            clock,
            feed,
            accounts: Arc::default(),
            changing: AsyncMutex::new(()),
            turn: AsyncMutex::new(()),
            stale: AtomicBool::new(false),
            reached: watch::Sender::new(Position::START),
            found: Notify::new(),
        };
        sigma.restore().await?;
        Ok(Arc::new(sigma))
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Waits until all up to `position` is looked at by the rules.
    ///
    /// # Cancellation
    /// May be dropped at any time.
    pub async fn reached(&self, position: Position) {
        // The sender lives in `self`.
        let _ = self.reached.subscribe().wait_for(|reached| *reached >= position).await;
    }

    /// Goes back to what is stored; answers up to where that has looked at the journal.
    pub(crate) async fn restore(&self) -> Result<Position, StoreError> {
        let journal = self.feed.journal();
        self.stale.store(false, Ordering::SeqCst);
        let position = match self.store.position().await? {
            Some(position) => position.max(journal.trimmed()),
            // No rule is older than the file.
            None => {
                let position = journal.tail();
                let now = self.clock.now();
                self.store.save(crate::store::Save { position, now, findings: &[], groups: &[] }).await?;
                position
            }
        };
        let (rules, groups) = (self.store.rules().await?, self.store.groups().await?);
        *self.accounts.lock() = Accounts::restored(position, rules, groups);
        self.reached.send_replace(position);
        Ok(position)
    }

    /// Loads the rules in `files`, pairs of name and text, for the account. A rule takes the place of the one with its id.
    ///
    /// # Errors
    /// [`ChangeError`], and then nothing is changed.
    ///
    /// # Cancellation
    /// May have been done or not.
    pub async fn load(
        &self,
        account: AccountId,
        by: &str,
        files: Vec<(String, String)>,
    ) -> Result<Loaded, ChangeError> {
        let _changing = self.changing.lock().await;
        let stored = self.current(account).await?;
        let plan = blocking(move || plan(&files, &stored)).await??;
        let position = self.change(account, by, &plan.put, &[]).await?;
        Ok(Loaded { position, loaded: plan.loaded, unchanged: plan.unchanged, refused: plan.refused })
    }

    /// Removes the account's rules of these ids.
    ///
    /// # Errors
    /// [`ChangeError`], and then nothing is changed.
    pub async fn remove(&self, account: AccountId, by: &str, ids: Vec<String>) -> Result<Removed, ChangeError> {
        let _changing = self.changing.lock().await;
        let stored = self.current(account).await?;
        let is_there = |id: &String| stored.iter().any(|rule| rule.id == *id);
        let (removed, not_found): (Vec<String>, Vec<String>) = ids.into_iter().partition(is_there);
        let gone = removed.clone();
        blocking(move || {
            let stay: Vec<Rule> = stored.iter().filter(|rule| !gone.contains(&rule.id)).filter_map(reread).collect();
            still_run(&stay)
        })
        .await??;
        let position = self.change(account, by, &[], &removed).await?;
        Ok(Removed { position, removed, not_found })
    }

    /// The account's rules, by id, up to `limit` after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rules(&self, account: AccountId, after: &str, limit: usize) -> Result<Vec<StoredRule>, StoreError> {
        self.store.rules_of(account, after, limit).await
    }

    /// The findings that are wanted, the one found last first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn findings(&self, query: &FindingQuery) -> Result<FindingPage, StoreError> {
        self.store.findings(query).await
    }

    /// The account's rules as they are now, in the order in which they run.
    async fn current(&self, account: AccountId) -> Result<Vec<StoredRule>, StoreError> {
        let mut rules = self.store.rules_of(account, "", usize::MAX).await?;
        rules.sort_by_key(|rule| rule.number);
        Ok(rules)
    }

    /// Makes the change from the journal's end on. Whoever calls is the only one that changes rules.
    async fn change(
        &self,
        account: AccountId,
        by: &str,
        put: &[NewRule],
        remove: &[String],
    ) -> Result<Position, ChangeError> {
        let _turn = self.turn.lock().await;
        let at = self.feed.journal().tail();
        if put.is_empty() && remove.is_empty() {
            return Ok(at);
        }
        // Whoever calls may go away from here on, or the file fail: the projection goes back to the file then.
        self.stale.store(true, Ordering::SeqCst);
        self.store.change_rules(RuleChange { account, at, now: self.clock.now(), by, put, remove }).await?;
        CrashPoint::SigmaChanged.reach();
        let rules: Vec<StoredRule> =
            self.store.rules().await?.into_iter().filter(|rule| rule.account == account).collect();
        let (accounts, reached) = (Arc::clone(&self.accounts), *self.reached.borrow());
        blocking(move || accounts.lock().set_rules(account, reached, &rules)).await?;
        self.stale.store(false, Ordering::SeqCst);
        Ok(at)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ChangeError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ChangeError::Interrupted { reason: error.to_string() })
}
