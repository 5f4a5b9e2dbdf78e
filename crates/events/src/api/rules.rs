//! Operations on rules.

use opentrail_catalog::{Expect, Versioned};
use opentrail_model::Arn;
use opentrail_patterns::{Event, EventPattern};
use opentrail_wire::events as wire;
use opentrail_wire::events::{
    DeleteRuleInput, DescribeRuleInput, DescribeRuleOutput, DisableRuleInput, EnableRuleInput, ListRulesInput,
    ListRulesOutput, PutRuleInput, PutRuleOutput, TestEventPatternInput, TestEventPatternOutput,
};

use super::Cx;
use super::paging::Asked;
use crate::error::EventsError;
use crate::place::{BusPlace, RulePlace};
use crate::rule::{Rule, RuleState, Scheduled};
use crate::schedule::Schedule;
use crate::tags;

pub(super) fn place(cx: &Cx<'_>, bus: Option<&str>, name: &str) -> Result<RulePlace, EventsError> {
    Ok(RulePlace { bus: cx.own_bus(bus)?, name: name.to_owned() })
}

/// The rule of that name, if the caller may do `action` with it.
pub(super) async fn require(cx: &Cx<'_>, action: &str, place: &RulePlace) -> Result<Versioned<Rule>, EventsError> {
    let found = cx.events.documents.find::<Rule>(&place.document()).await?;
    authorize(cx, action, place, found.as_ref().map(|found| &found.value))?;
    // A bus that is not there is told of before the rule.
    cx.events.documents.bus(&place.bus).await?;
    cx.events.documents.rule(place).await
}

fn authorize(cx: &Cx<'_>, action: &str, place: &RulePlace, rule: Option<&Rule>) -> Result<(), EventsError> {
    let mut context = cx.conditions().clone();
    context.insert("events:creatorAccount", place.bus.account.to_string());
    for tag in rule.into_iter().flat_map(|rule| &rule.tags) {
        context.insert(&format!("aws:ResourceTag/{}", tag.key), tag.value.as_str());
    }
    cx.authorize_with(action, &place.arn(), &context, None)
}

/// Makes a rule, or replaces what one says; its targets and tags stay. (API Reference, PutRule.)
pub(super) async fn put(cx: &Cx<'_>, input: PutRuleInput) -> Result<PutRuleOutput, EventsError> {
    let place = place(cx, input.event_bus_name.as_deref(), &input.name)?;
    let _changing = cx.events.changing().await;
    let found = cx.events.documents.find::<Rule>(&place.document()).await?;
    authorize(cx, "events:PutRule", &place, found.as_ref().map(|found| &found.value))?;
    cx.events.documents.bus(&place.bus).await?;
    let (event_pattern, schedule) = require_trigger(&input, &place.bus)?;
    if let Some(role) = &input.role_arn {
        pass_role(cx, role)?;
    }
    let new_tags = tags::put(Vec::new(), tags::from_wire(input.tags))?;
    let state = RuleState::from_name(input.state.as_deref());
    let (old, expect) = match found {
        Some(found) => (Some(found.value), Expect::Revision(found.revision)),
        None => (None, Expect::Absent),
    };
    if old.is_none() {
        require_room(cx, &place).await?;
    }
    let (tail, now) = (cx.events.journal.tail(), cx.events.now());
    let was_on = old.as_ref().filter(|old| old.state != RuleState::Disabled);
    // A schedule that is put again goes on as it was: a choice of ours.
    let goes_on = was_on.and_then(|old| old.schedule.clone()).filter(|old| Some(&old.expression) == schedule.as_ref());
    let schedule = goes_on.or_else(|| schedule.map(|expression| Scheduled { expression, since: now }));
    let rule = Rule {
        bus: place.bus.clone(),
        name: place.name.clone(),
        event_pattern,
        schedule,
        state,
        description: input.description.filter(|text| !text.is_empty()),
        role_arn: input.role_arn,
        since: was_on.map_or(tail, |old| old.since),
        created: old.as_ref().map_or(now, |old| old.created),
        tags: old.as_ref().map_or(new_tags, |old| old.tags.clone()),
        targets: old.map(|old| old.targets).unwrap_or_default(),
    };
    cx.events.documents.put(&rule, expect).await?;
    cx.events.take_over(&place.bus).await?;
    Ok(PutRuleOutput { rule_arn: Some(place.arn()) })
}

/// What sets the rule off: a pattern, a schedule, or both. (API Reference, PutRule.)
fn require_trigger(input: &PutRuleInput, bus: &BusPlace) -> Result<(Option<String>, Option<String>), EventsError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (pattern, schedule) = (given(&input.event_pattern), given(&input.schedule_expression));
    // EventBridge's own words, here and below.
    if pattern.is_none() && schedule.is_none() {
        return Err(EventsError::Validation(
            "Parameter(s) EventPattern or ScheduleExpression must be specified.".to_owned(),
        ));
    }
    if let Some(schedule) = &schedule {
        if !bus.is_default() {
            return Err(EventsError::Validation(
                "ScheduleExpression is supported only on the default event bus.".to_owned(),
            ));
        }
        schedule.parse::<Schedule>().map_err(|error| EventsError::Validation(error.to_string()))?;
    }
    pattern.as_deref().map(parse_pattern).transpose()?;
    Ok((pattern, schedule))
}

pub(super) fn parse_pattern(pattern: &str) -> Result<EventPattern, EventsError> {
    EventPattern::parse(pattern).map_err(|error| EventsError::InvalidPattern(error.to_string()))
}

async fn require_room(cx: &Cx<'_>, place: &RulePlace) -> Result<(), EventsError> {
    let theirs = cx.events.documents.all::<Rule>(&format!("{}/", place.bus.document())).await?;
    if theirs.len() >= cx.events.options.most_rules {
        // EventBridge's own words.
        return Err(EventsError::LimitExceeded(
            "The requested resource exceeds the maximum number allowed.".to_owned(),
        ));
    }
    Ok(())
}

/// Who gives a role to a rule or a target must be allowed to pass it. (IAM User Guide, "Granting a user permissions to
/// pass a role to an AWS service".)
pub(super) fn pass_role(cx: &Cx<'_>, role: &str) -> Result<(), EventsError> {
    let invalid = || EventsError::Validation(format!("{role} is no ARN of a role."));
    let arn: Arn = role.parse().map_err(|_| invalid())?;
    if arn.service() != "iam" || !arn.resource().starts_with("role/") {
        return Err(invalid());
    }
    if arn.account() != cx.account().to_string() {
        // EventBridge's own words.
        return Err(EventsError::AccessDenied("Cross-account pass role is not allowed.".to_owned()));
    }
    let context = cx.conditions().clone().with("iam:PassedToService", "events.amazonaws.com");
    cx.authorize_with("iam:PassRole", role, &context, None)
}

pub(super) async fn describe(cx: &Cx<'_>, input: DescribeRuleInput) -> Result<DescribeRuleOutput, EventsError> {
    let place = place(cx, input.event_bus_name.as_deref(), &input.name)?;
    let rule = require(cx, "events:DescribeRule", &place).await?.value;
    Ok(DescribeRuleOutput {
        name: Some(rule.name),
        arn: Some(place.arn()),
        event_pattern: rule.event_pattern,
        schedule_expression: rule.schedule.map(|schedule| schedule.expression),
        state: Some(rule.state.as_str().to_owned()),
        description: rule.description,
        role_arn: rule.role_arn,
        event_bus_name: Some(place.bus.name.clone()),
        created_by: Some(place.bus.account.to_string()),
        ..DescribeRuleOutput::default()
    })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListRulesInput) -> Result<ListRulesOutput, EventsError> {
    let bus = cx.own_bus(input.event_bus_name.as_deref())?;
    cx.authorize("events:ListRules", &bus.arn())?;
    cx.events.documents.bus(&bus).await?;
    let prefix = format!("{}/{}", bus.document(), input.name_prefix.unwrap_or_default());
    let asked = Asked { limit: input.limit, token: input.next_token };
    let page = asked.documents::<Rule>(cx, &prefix, |_| true).await?;
    let shown = |rule: Rule| wire::Rule {
        arn: Some(rule.place().arn()),
        name: Some(rule.name),
        event_pattern: rule.event_pattern,
        schedule_expression: rule.schedule.map(|schedule| schedule.expression),
        state: Some(rule.state.as_str().to_owned()),
        description: rule.description,
        role_arn: rule.role_arn,
        event_bus_name: Some(rule.bus.name),
        ..wire::Rule::default()
    };
    Ok(ListRulesOutput { rules: Some(page.items.into_iter().map(shown).collect()), next_token: page.next })
}

pub(super) async fn enable(cx: &Cx<'_>, input: EnableRuleInput) -> Result<(), EventsError> {
    let place = place(cx, input.event_bus_name.as_deref(), &input.name)?;
    turn(cx, "events:EnableRule", &place, RuleState::Enabled).await
}

pub(super) async fn disable(cx: &Cx<'_>, input: DisableRuleInput) -> Result<(), EventsError> {
    let place = place(cx, input.event_bus_name.as_deref(), &input.name)?;
    turn(cx, "events:DisableRule", &place, RuleState::Disabled).await
}

async fn turn(cx: &Cx<'_>, action: &str, place: &RulePlace, state: RuleState) -> Result<(), EventsError> {
    let _changing = cx.events.changing().await;
    let Versioned { value: mut rule, revision, .. } = require(cx, action, place).await?;
    let (is_on, wanted_on) = (rule.state != RuleState::Disabled, state != RuleState::Disabled);
    if is_on == wanted_on {
        return Ok(());
    }
    if wanted_on {
        rule.since = cx.events.journal.tail();
        if let Some(schedule) = &mut rule.schedule {
            schedule.since = cx.events.now();
        }
    }
    rule.state = state;
    cx.events.documents.put(&rule, Expect::Revision(revision)).await?;
    cx.events.take_over(&place.bus).await
}

/// Deleting what is not there succeeds, as AWS has it.
pub(super) async fn delete(cx: &Cx<'_>, input: DeleteRuleInput) -> Result<(), EventsError> {
    let place = place(cx, input.event_bus_name.as_deref(), &input.name)?;
    let _changing = cx.events.changing().await;
    let found = cx.events.documents.find::<Rule>(&place.document()).await?;
    authorize(cx, "events:DeleteRule", &place, found.as_ref().map(|found| &found.value))?;
    cx.events.documents.bus(&place.bus).await?;
    let Some(found) = found else { return Ok(()) };
    if !found.value.targets.is_empty() {
        // EventBridge's own words.
        return Err(EventsError::Validation("Rule can't be deleted since it has targets.".to_owned()));
    }
    cx.events.documents.delete::<Rule>(&found.key, found.revision).await?;
    cx.events.take_over(&place.bus).await
}

pub(super) fn test_pattern(cx: &Cx<'_>, input: TestEventPatternInput) -> Result<TestEventPatternOutput, EventsError> {
    /// What an event must have. (API Reference, TestEventPattern, `Event`.)
    const REQUIRED: [&str; 7] = ["id", "account", "source", "time", "region", "resources", "detail-type"];
    cx.authorize("events:TestEventPattern", "*")?;
    let pattern = parse_pattern(&input.event_pattern)?;
    let event: serde_json::Value = serde_json::from_str(&input.event)
        .map_err(|error| EventsError::Validation(format!("Parameter Event is not valid. Reason: {error}.")))?;
    if let Some(missing) = REQUIRED.iter().find(|member| event.get(**member).is_none()) {
        return Err(EventsError::Validation(format!("Parameter Event is not valid. Reason: it has no {missing}.")));
    }
    Ok(TestEventPatternOutput { result: Some(pattern.matches(&Event::Whole(input.event.as_bytes()))) })
}
