//! Insights: whom trails and event data stores switch it on for, and its records' way into the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use opentrail_event::Control;
use opentrail_insights::{
    Category, InsightRecord, InsightSink, InsightSource, InsightType, MalformedSwitches, Sensitivity, Switch, Switches,
};
use opentrail_journal::{Journal, NewEntry};
use opentrail_model::{AccountId, InsightSelector, Position, Region, Selectors, Source};
use opentrail_projection::ProjectionError;
use opentrail_runtime::{Clock, CrashPoint};
use opentrail_stores::{EventDataStore, Status, StoreChange};
use opentrail_trails::{Trail, TrailChange};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::config::InsightsSection;

/// Of the journal that is read at once when it is looked for records that are there already.
const READ_BYTES: usize = 4 << 20;

/// A trail or an event data store, as far as Insights has to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    kind: HolderKind,
    version: u64,
    accounts: BTreeSet<AccountId>,
    /// The one Region that it is about; `None` when it is about all.
    region: Option<Region>,
    on: Vec<(Category, InsightType)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum HolderKind {
    Trail,
    Store,
}

impl Holder {
    fn of_trail(trail: &Trail) -> Self {
        Self {
            kind: HolderKind::Trail,
            version: trail.version,
            accounts: trail.accounts().collect(),
            region: (!trail.multi_region).then(|| trail.key.home_region.clone()),
            on: if trail.logging { switched_on(&trail.insights, &trail.selectors) } else { Vec::new() },
        }
    }

    fn of_store(store: &EventDataStore) -> Self {
        let owner = BTreeSet::from([store.key.account]);
        let selectors = store.insights.as_ref().filter(|_| store.status() == Status::Enabled);
        Self {
            kind: HolderKind::Store,
            version: store.version,
            accounts: store.organization.as_ref().map_or(owner, |scope| scope.members.clone()),
            region: (!store.multi_region).then(|| store.key.home_region.clone()),
            on: selectors.map(|found| switched_on(&found.selectors, &store.selectors())).unwrap_or_default(),
        }
    }
}

/// What of the insight selectors has events to watch: call rates of management events need writes. (User Guide, "Working with
/// CloudTrail Insights".)
fn switched_on(insights: &[InsightSelector], events: &Selectors) -> Vec<(Category, InsightType)> {
    let watched = insights
        .iter()
        .flat_map(|selector| selector.event_categories.iter().map(|category| (*category, selector.insight_type)));
    let has_events = |(category, insight_type): &(Category, InsightType)| {
        let read_only =
            (*category == Category::Management && *insight_type == InsightType::ApiCallRate).then_some(false);
        events.may_take(category.as_str(), read_only)
    };
    watched.filter(has_events).collect()
}

/// Something that is switched on for an account.
#[derive(Clone, Debug)]
struct Rule {
    region: Option<Region>,
    category: Category,
    insight_type: InsightType,
    kind: HolderKind,
    arn: String,
}

impl Rule {
    fn is_of(&self, region: &str, category: Category, insight_type: InsightType) -> bool {
        self.category == category
            && self.insight_type == insight_type
            && self.region.as_ref().is_none_or(|only| only.as_str() == region)
    }
}

#[derive(Debug, Default)]
struct Holders {
    /// By ARN.
    holders: BTreeMap<String, Holder>,
    rules: HashMap<AccountId, Vec<Rule>>,
}

impl Holders {
    fn put(&mut self, arn: String, holder: Holder) {
        if self.holders.get(&arn).is_some_and(|known| known.version >= holder.version) {
            return;
        }
        self.holders.insert(arn, holder);
        self.compile();
    }

    fn remove(&mut self, arn: &str) {
        if self.holders.remove(arn).is_some() {
            self.compile();
        }
    }

    fn compile(&mut self) {
        self.rules.clear();
        for (arn, holder) in &self.holders {
            for (account, (category, insight_type)) in
                holder.accounts.iter().flat_map(|account| holder.on.iter().map(move |on| (account, *on)))
            {
                let (region, kind, arn) = (holder.region.clone(), holder.kind, arn.clone());
                self.rules.entry(*account).or_default().push(Rule { region, category, insight_type, kind, arn });
            }
        }
    }
}

/// The switches as trails and event data stores have them.
#[derive(Debug)]
pub(crate) struct ConfiguredSwitches {
    section: InsightsSection,
    state: RwLock<Holders>,
}

impl ConfiguredSwitches {
    pub(crate) fn new(section: InsightsSection) -> Self {
        Self { section, state: RwLock::default() }
    }

    fn sensitivity(&self, account: AccountId) -> Sensitivity {
        self.section.accounts.get(&account).copied().unwrap_or(self.section.sensitivity)
    }
}

impl Switches for ConfiguredSwitches {
    fn find(&self, account: AccountId, region: &str, category: Category, insight_type: InsightType) -> Option<Switch> {
        let state = self.state.read();
        let mut switch: Option<Switch> = None;
        for rule in state.rules.get(&account)?.iter().filter(|rule| rule.is_of(region, category, insight_type)) {
            let switch =
                switch.get_or_insert_with(|| Switch { sensitivity: self.sensitivity(account), ..Switch::default() });
            match (rule.kind, category) {
                (HolderKind::Trail, Category::Management) => switch.trails = true,
                (HolderKind::Trail, Category::Data) => switch.data_trails.push(rule.arn.clone()),
                (HolderKind::Store, _) => switch.stores.push(rule.arn.clone()),
            }
        }
        switch
    }

    fn is_on(&self, account: AccountId, region: &str, category: Category, insight_type: InsightType) -> bool {
        let state = self.state.read();
        state
            .rules
            .get(&account)
            .is_some_and(|rules| rules.iter().any(|rule| rule.is_of(region, category, insight_type)))
    }

    fn change(&self, control: &Control) {
        let mut state = self.state.write();
        match TrailChange::from_bytes(&control.body) {
            Some(TrailChange::PutTrail(trail)) => state.put(trail.arn().to_string(), Holder::of_trail(&trail)),
            Some(TrailChange::DeleteTrail(key)) => state.remove(key.arn().as_str()),
            None => match StoreChange::from_bytes(&control.body) {
                Some(StoreChange::PutEventDataStore(store)) => {
                    state.put(store.arn().to_string(), Holder::of_store(&store));
                }
                Some(StoreChange::DeleteEventDataStore(key)) => state.remove(key.arn().as_str()),
                // A change of something else.
                None => {}
            },
        }
    }

    fn state(&self) -> Vec<u8> {
        serde_json::to_vec(&self.state.read().holders).expect("holders are plain values, which serialize to JSON")
    }

    fn restore(&self, state: &[u8]) -> Result<(), MalformedSwitches> {
        let holders = match state {
            [] => BTreeMap::new(),
            state => serde_json::from_slice(state).map_err(|_| MalformedSwitches)?,
        };
        let mut restored = Holders { holders, ..Holders::default() };
        restored.compile();
        *self.state.write() = restored;
        Ok(())
    }
}

/// Appends records of Insights to the journal, each once.
#[derive(Debug)]
pub(crate) struct InsightRecords {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    appended: Mutex<Appended>,
}

/// The records behind a position.
#[derive(Debug, Default)]
struct Appended {
    /// `None` while it is unknown what lies there.
    since: Option<Position>,
    ids: HashSet<String>,
}

impl InsightRecords {
    pub(crate) fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        Self { journal, clock, appended: Mutex::default() }
    }

    /// Looks for the records that the journal has behind `since`.
    async fn look(&self, since: Position) -> Result<HashSet<String>, ProjectionError> {
        let (mut at, mut ids) = (since, HashSet::new());
        loop {
            let entries = self.journal.read(at, READ_BYTES).await.map_err(ProjectionError::retry)?;
            let Some(last) = entries.last() else { return Ok(ids) };
            at = last.position;
            let insights =
                entries.iter().filter(|entry| matches!(entry.source, Source::Insights | Source::StoreInsights));
            ids.extend(
                insights.filter_map(|entry| Some(serde_json::from_slice::<EventId>(&entry.body).ok()?.event_id)),
            );
        }
    }
}

#[derive(Deserialize)]
struct EventId {
    #[serde(rename = "eventID")]
    event_id: String,
}

#[async_trait]
impl InsightSink for InsightRecords {
    async fn append(&self, since: Position, records: Vec<InsightRecord>) -> Result<(), ProjectionError> {
        let mut appended = self.appended.lock().await;
        match appended.since {
            // Nothing was committed since the last time: it may be the same again.
            Some(known) if known == since => {}
            // What was appended before is behind the position now.
            Some(_) => *appended = Appended { since: Some(since), ids: HashSet::new() },
            None => *appended = Appended { since: Some(since), ids: self.look(since).await? },
        }
        let received = self.clock.now();
        let new = records.into_iter().filter(|record| !appended.ids.contains(&record.event_id.to_string()));
        let new: Vec<InsightRecord> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        let entry = |record: &InsightRecord| NewEntry {
            source: match record.source {
                Some(InsightSource::Store(_)) => Source::StoreInsights,
                Some(InsightSource::Trail(_)) | None => Source::Insights,
            },
            account: record.account,
            received,
            body: record.json.clone().into(),
        };
        CrashPoint::InsightsAppend.reach();
        if let Err(error) = self.journal.append(new.iter().map(entry).collect()).await {
            appended.since = None;
            return Err(ProjectionError::retry(error));
        }
        CrashPoint::InsightsAppended.reach();
        appended.ids.extend(new.into_iter().map(|record| record.event_id.to_string()));
        Ok(())
    }

    fn tail(&self) -> Position {
        self.journal.tail()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentrail_journal::MemoryJournal;
    use opentrail_model::{InsightSelector, Timestamp};
    use opentrail_runtime::SystemClock;
    use opentrail_trails::TrailKey;

    const ACCOUNT: &str = "111122223333";

    fn switches() -> ConfiguredSwitches {
        let account = ACCOUNT.parse().unwrap();
        ConfiguredSwitches::new(InsightsSection {
            sensitivity: Sensitivity::Low,
            accounts: HashMap::from([(account, Sensitivity::High)]),
            most_keys: 1000,
        })
    }

    fn trail(version: u64, on: &[(InsightType, &[Category])]) -> Trail {
        let trail = serde_json::json!({
            "key": { "account": ACCOUNT, "home_region": "us-east-1", "name": "main" }, "version": version, "bucket": "b",
            "include_global_service_events": true, "multi_region": false, "log_file_validation": false, "recursive_logging": true,
            "logging": true, "selectors": [{}], "tags": [], "created": Timestamp::EPOCH,
        });
        let mut trail: Trail = serde_json::from_value(trail).unwrap();
        let selector = |(insight_type, categories): &(InsightType, &[Category])| InsightSelector {
            insight_type: *insight_type,
            event_categories: categories.iter().copied().collect(),
        };
        trail.insights = on.iter().map(selector).collect();
        trail
    }

    fn change(switches: &ConfiguredSwitches, change: &TrailChange) {
        let (position, received, account) = (Position(1), Timestamp::EPOCH, ACCOUNT.parse().unwrap());
        switches.change(&Control { position, received, account, body: change.to_bytes() });
    }

    fn put(switches: &ConfiguredSwitches, trail: &Trail) {
        change(switches, &TrailChange::PutTrail(trail.clone().into()));
    }

    fn find(switches: &ConfiguredSwitches, region: &str, category: Category, kind: InsightType) -> Option<Switch> {
        let account = ACCOUNT.parse().unwrap();
        let found = switches.find(account, region, category, kind);
        assert_eq!(switches.is_on(account, region, category, kind), found.is_some());
        found
    }

    #[test]
    fn a_trail_switches_on_what_it_logs_where_it_logs() {
        use Category as C;
        use InsightType as T;
        let switches = switches();
        assert_eq!(find(&switches, "us-east-1", C::Management, T::ApiCallRate), None);
        let mut trail = trail(2, &[(T::ApiCallRate, &[C::Management, C::Data]), (T::ApiErrorRate, &[C::Management])]);
        put(&switches, &trail);
        let on = Switch { sensitivity: Sensitivity::High, trails: true, ..Switch::default() };
        assert_eq!(find(&switches, "us-east-1", C::Management, T::ApiCallRate), Some(on.clone()));
        assert_eq!(find(&switches, "us-east-1", C::Management, T::ApiErrorRate), Some(on));
        assert_eq!(find(&switches, "eu-west-1", C::Management, T::ApiCallRate), None);
        assert_eq!(find(&switches, "us-east-1", C::Data, T::ApiCallRate), None, "it logs no data events");
        // Reads have no call rate.
        trail.version = 3;
        trail.selectors =
            serde_json::from_str(r#"[{"ReadWriteType":"ReadOnly","DataResources":[{"Type":"AWS::S3::Object"}]}]"#)
                .unwrap();
        trail.multi_region = true;
        put(&switches, &trail);
        assert_eq!(find(&switches, "us-east-1", C::Management, T::ApiCallRate), None);
        assert!(find(&switches, "eu-west-1", C::Management, T::ApiErrorRate).is_some());
        assert_eq!(
            find(&switches, "eu-west-1", C::Data, T::ApiCallRate).unwrap().data_trails,
            [trail.arn().to_string()]
        );
        // An older version changes nothing.
        put(&switches, &Trail { version: 2, logging: false, ..trail.clone() });
        assert!(find(&switches, "eu-west-1", C::Management, T::ApiErrorRate).is_some());
        // What was known is known again.
        let again = self::switches();
        again.restore(&switches.state()).unwrap();
        assert!(find(&again, "eu-west-1", C::Management, T::ApiErrorRate).is_some());
        assert_eq!(again.restore(b"{"), Err(MalformedSwitches));
        put(&switches, &Trail { version: 4, logging: false, ..trail });
        assert_eq!(find(&switches, "eu-west-1", C::Management, T::ApiErrorRate), None);
        let key: TrailKey = self::trail(1, &[]).key;
        change(&again, &TrailChange::DeleteTrail(key));
        assert_eq!(find(&again, "eu-west-1", C::Management, T::ApiErrorRate), None);
        again.restore(b"").unwrap();
        assert!(again.state.read().holders.is_empty());
    }

    #[tokio::test]
    async fn a_record_that_the_journal_has_is_not_appended_again() {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let records = || InsightRecords::new(Arc::clone(&journal), Arc::new(SystemClock));
        let call = |second: i64| opentrail_insights::Call {
            account: ACCOUNT.parse().unwrap(),
            region: "us-east-1",
            event_source: "a.amazonaws.com",
            event_name: if second < 7_200 { "Usual" } else { "Storm" },
            category: Category::Management,
            writes: true,
            error_code: None,
            user_arn: None,
            user_agent: None,
        };
        let usual = (0..7_200).step_by(30).map(|at| (Timestamp::from_secs(at), call(at)));
        let storm = std::iter::repeat_n((Timestamp::from_secs(7_200), call(7_200)), 5_000);
        let told = opentrail_insights::replay(usual.chain(storm), Sensitivity::High, 1000);
        assert_eq!(told.len(), 2);

        let sink = records();
        sink.append(Position::START, told[..1].to_vec()).await.unwrap();
        sink.append(Position::START, told[..1].to_vec()).await.unwrap();
        assert_eq!(journal.tail(), Position(1));
        // After a crash before the commit.
        let sink = records();
        sink.append(Position::START, told.clone()).await.unwrap();
        assert_eq!(journal.tail(), Position(2));
        sink.append(Position::START, told.clone()).await.unwrap();
        assert_eq!(journal.tail(), Position(2));
        let entries = journal.read(Position::START, usize::MAX).await.unwrap();
        assert!(entries.iter().all(|entry| entry.source == Source::Insights && entry.account == told[0].account));
        assert_eq!(entries[1].body, told[1].json);
    }
}
