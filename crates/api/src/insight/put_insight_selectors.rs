use opentrail_catalog::Versioned;
use opentrail_model::{InsightCategory, InsightSelector};
use opentrail_stores::{EventDataStore, Kind, StoreChange, StoreInsights};
use opentrail_trails::Trail;
use opentrail_wire::cloudtrail::{self as wire, Operation, PutInsightSelectorsInput, PutInsightSelectorsOutput};

use super::InsightError as E;
use super::shapes::{from_wire, to_wire};
use super::target::{Target, declared, target};
use crate::context::{Context, JournalChange, Outcome, RecordOrder};
use crate::organizations::change::Committed;
use crate::store::{parse_store, require_active};
use crate::trail::Change;

const OPERATION: Operation = Operation::PutInsightSelectors;

/// Replaces what Insights watches for a trail or an event data store; an empty list switches it off.
///
/// Whether the events are logged that an insight type needs is not asked, as the documentation names no error for it: it is found of
/// what the trail or store logs.
pub(crate) async fn put_insight_selectors(
    cx: Context<'_>,
    input: PutInsightSelectorsInput,
) -> Outcome<(PutInsightSelectorsOutput, Option<Committed>)> {
    let named = (input.trail_name.as_deref(), input.event_data_store.as_deref());
    let destination = input.insights_destination.as_deref();
    match target(&cx, OPERATION, named.0, named.1, destination).await.map_err(declared(OPERATION))? {
        Target::Trail(trail) => of_trail(cx, trail.require_at_home(&cx)?, input.insight_selectors).await,
        Target::Store(store) => {
            let store = store.require_active().map_err(declared(OPERATION))?.value;
            of_store(cx, store, destination, input.insight_selectors).await.map_err(declared(OPERATION))
        }
    }
}

async fn of_trail(
    cx: Context<'_>,
    trail: Versioned<Trail>,
    selectors: Vec<wire::InsightSelector>,
) -> Outcome<(PutInsightSelectorsOutput, Option<Committed>)> {
    let (mut changed, revision) = (trail.value, trail.revision);
    let selectors = from_wire(selectors)?;
    let output = PutInsightSelectorsOutput {
        trail_arn: Some(changed.arn().to_string()),
        insight_selectors: Some(to_wire(&selectors)),
        ..PutInsightSelectorsOutput::default()
    };
    if changed.insights == selectors {
        return Ok((output, None));
    }
    if !selectors.is_empty() {
        cx.check_bucket(&changed).await?;
    }
    changed.insights = selectors;
    let Change { change, order, turn } = cx.replace(changed, revision, RecordOrder::RecordFirst).await?;
    Ok((output, Some(Committed { changes: vec![change], order, turn: Some(turn) })))
}

async fn of_store(
    cx: Context<'_>,
    store: EventDataStore,
    destination: Option<&str>,
    selectors: Vec<wire::InsightSelector>,
) -> Outcome<(PutInsightSelectorsOutput, Option<Committed>)> {
    let selectors = from_wire(selectors)?;
    let turn = cx.services.turns.take(store.key.account).await;
    // As it is now that nobody else changes it.
    let found = cx.services.stores.find(&store.key, cx.now()).await?;
    let mut source = require_active(found.ok_or(opentrail_stores::StoreError::NotFound { arn: store.arn() })?)?;
    let insights = match selectors.is_empty() {
        true => None,
        false => {
            let destination = destination.ok_or_else(|| E::NoDestination { arn: store.arn() })?;
            Some(StoreInsights { destination: parse_store(&cx, destination)?, selectors })
        }
    };
    let output = PutInsightSelectorsOutput {
        event_data_store_arn: Some(source.value.arn().to_string()),
        insights_destination: insights.as_ref().map(|insights| insights.destination.arn().to_string()),
        insight_selectors: Some(insights.as_ref().map(|insights| to_wire(&insights.selectors)).unwrap_or_default()),
        ..PutInsightSelectorsOutput::default()
    };
    if source.value.insights == insights {
        return Ok((output, None));
    }
    let mut changed = Vec::new();
    let before = source.value.insights.as_ref().map(|insights| insights.destination.clone());
    let after = insights.as_ref().map(|insights| insights.destination.clone());
    if let Some(insights) = &insights {
        changed.push(to_be_destination(cx, &source.value, insights).await?);
    }
    if let Some(left) = before.filter(|before| after.as_ref() != Some(before))
        && let Some(mut left) = cx.services.stores.find(&left, cx.now()).await?
    {
        left.value.insight_sources.remove(&source.value.key);
        changed.push(left);
    }
    source.value.insights = insights;
    changed.push(source);
    for store in &mut changed {
        store.value.version += 1;
    }
    cx.services.stores.replace_all(&changed).await?;
    let change = |store: Versioned<EventDataStore>| StoreChange::PutEventDataStore(store.value.into()).into();
    let changes = changed.into_iter().map(change).collect::<Vec<JournalChange>>();
    Ok((output, Some(Committed { changes, order: RecordOrder::RecordFirst, turn: Some(turn) })))
}

/// The destination, which has `source` among its sources.
async fn to_be_destination(
    cx: Context<'_>,
    source: &EventDataStore,
    insights: &StoreInsights,
) -> Outcome<Versioned<EventDataStore>> {
    let of_data = |selector: &InsightSelector| selector.event_categories.contains(&InsightCategory::Data);
    if insights.selectors.iter().any(of_data) {
        return Err(E::DataOfStore.into());
    }
    if source.kind() != Kind::CloudTrail {
        return Err(E::Source { arn: source.arn() }.into());
    }
    let arn = insights.destination.arn();
    if insights.destination.account != source.key.account {
        return Err(E::ForeignDestination { arn }.into());
    }
    let near = insights.destination.home_region == *cx.region();
    let found = if near { cx.services.stores.find(&insights.destination, cx.now()).await? } else { None };
    let mut destination =
        require_active(found.ok_or_else(|| opentrail_stores::StoreError::NotFound { arn: arn.clone() })?)?;
    if destination.value.kind() != Kind::Insight {
        return Err(E::Destination { arn }.into());
    }
    destination.value.insight_sources.insert(source.key.clone());
    Ok(destination)
}
