//! Operations on the targets of a rule.

use std::collections::BTreeSet;

use opentrail_catalog::{Expect, Versioned};
use opentrail_model::Arn;
use opentrail_wire::events as wire;
use opentrail_wire::events::{
    ListRuleNamesByTargetInput, ListRuleNamesByTargetOutput, ListTargetsByRuleInput, ListTargetsByRuleOutput,
    PutTargetsInput, PutTargetsOutput, RemoveTargetsInput, RemoveTargetsOutput,
};

use super::Cx;
use super::paging::Asked;
use super::rules::{pass_role, place, require};
use crate::deliver::TargetKind;
use crate::error::EventsError;
use crate::place::BusPlace;
use crate::rule::{HttpParameters, Input, RetryPolicy, Rule, Target};

pub(super) async fn put(cx: &Cx<'_>, input: PutTargetsInput) -> Result<PutTargetsOutput, EventsError> {
    let place = place(cx, input.event_bus_name.as_deref(), &input.rule)?;
    let _changing = cx.events.changing().await;
    let Versioned { value: mut rule, revision, .. } = require(cx, "events:PutTargets", &place).await?;
    let mut ids = BTreeSet::new();
    for target in input.targets {
        if !ids.insert(target.id.clone()) {
            return Err(EventsError::Validation(format!("The target {} is given twice.", target.id)));
        }
        let target = checked(cx, &rule, target).await?;
        match rule.targets.iter_mut().find(|old| old.id == target.id) {
            Some(old) => *old = target,
            None => rule.targets.push(target),
        }
    }
    if rule.targets.len() > cx.events.options.most_targets {
        // EventBridge's own words.
        return Err(EventsError::LimitExceeded(
            "The requested resource exceeds the maximum number allowed.".to_owned(),
        ));
    }
    cx.events.documents.put(&rule, Expect::Revision(revision)).await?;
    cx.events.take_over(&place.bus).await?;
    Ok(PutTargetsOutput { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
}

/// The target as it is stored, if everything that it asks for is there.
async fn checked(cx: &Cx<'_>, rule: &Rule, target: wire::Target) -> Result<Target, EventsError> {
    refuse_parameters(&target)?;
    // EventBridge's own words.
    let not_valid =
        |reason: &str| EventsError::Validation(format!("Parameter {} is not valid. Reason: {reason}", target.arn));
    let arn: Arn = target.arn.parse().map_err(|_| not_valid("Provided Arn is not in correct format."))?;
    let kind = TargetKind::of(&arn).ok_or_else(|| not_valid("Provided Arn is not in correct format."))?;
    match &kind {
        TargetKind::Bus(bus) => {
            if *bus == rule.bus {
                return Err(not_valid("A rule cannot send events to its own event bus."));
            }
            if bus.account != cx.account() {
                return Err(not_valid("Event buses of other accounts are not available as targets."));
            }
            cx.events.documents.bus(bus).await?;
        }
        TargetKind::ApiDestination(name) => {
            let found = cx.events.documents.named::<crate::ApiDestination>(cx.account(), cx.region(), name).await;
            let found = found.map_err(|error| not_valid(&error.to_string()))?;
            if found.value.arn() != arn.as_str() {
                return Err(not_valid("Provided Arn is of no API destination that is there."));
            }
        }
        TargetKind::Other => cx.events.destinations.check(&arn, cx.account()).map_err(|reason| not_valid(&reason))?,
    }
    if let Some(role) = &target.role_arn {
        pass_role(cx, role)?;
    }
    let dead_letter = target.dead_letter_config.and_then(|config| config.arn);
    let dead_letter = dead_letter.map(|text| dead_letter_queue(cx, &text)).transpose()?;
    let group = target.sqs_parameters.and_then(|parameters| parameters.message_group_id);
    let is_fifo = arn.service() == "sqs" && arn.resource().ends_with(".fifo");
    if is_fifo != group.is_some() {
        let problem = if is_fifo { "a FIFO queue needs SqsParameters" } else { "SqsParameters are for FIFO queues" };
        return Err(not_valid(&format!("{problem}.")));
    }
    let input = input(target.input, target.input_path, target.input_transformer)?;
    crate::transform::read(&input).map_err(|error| EventsError::Validation(error.message(&target.id)))?;
    Ok(Target {
        id: target.id,
        arn,
        role_arn: target.role_arn,
        input,
        message_group_id: group,
        http: http(target.http_parameters, &kind)?,
        dead_letter,
        retry: retry(target.retry_policy),
    })
}

fn refuse_parameters(target: &wire::Target) -> Result<(), EventsError> {
    let given = [
        ("KinesisParameters", target.kinesis_parameters.is_some()),
        ("RunCommandParameters", target.run_command_parameters.is_some()),
        ("EcsParameters", target.ecs_parameters.is_some()),
        ("BatchParameters", target.batch_parameters.is_some()),
        ("RedshiftDataParameters", target.redshift_data_parameters.is_some()),
        ("SageMakerPipelineParameters", target.sage_maker_pipeline_parameters.is_some()),
        ("AppSyncParameters", target.app_sync_parameters.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(EventsError::Unavailable(format!("{name}: targets of that kind are not available."))),
        None => Ok(()),
    }
}

fn dead_letter_queue(cx: &Cx<'_>, text: &str) -> Result<Arn, EventsError> {
    let invalid = |reason: &str| EventsError::Validation(format!("Parameter {text} is not valid. Reason: {reason}"));
    let arn: Arn = text.parse().map_err(|_| invalid("Provided Arn is not in correct format."))?;
    if arn.service() != "sqs" || arn.resource().ends_with(".fifo") {
        return Err(invalid("A dead-letter queue is a standard queue of SQS."));
    }
    cx.events.destinations.check(&arn, cx.account()).map_err(|reason| invalid(&reason))?;
    Ok(arn)
}

fn input(
    constant: Option<String>,
    path: Option<String>,
    transformer: Option<wire::InputTransformer>,
) -> Result<Input, EventsError> {
    match (constant, path, transformer) {
        (None, None, None) => Ok(Input::Event),
        (Some(constant), None, None) => Ok(Input::Constant(constant)),
        (None, Some(path), None) => Ok(Input::Path(path)),
        (None, None, Some(transformer)) => Ok(Input::Transformer {
            paths: transformer.input_paths_map.unwrap_or_default(),
            template: transformer.input_template,
        }),
        // EventBridge's own words.
        _ => Err(EventsError::Validation(
            "Only one of Input, InputPath, or InputTransformer must be provided.".to_owned(),
        )),
    }
}

fn http(parameters: Option<wire::HttpParameters>, kind: &TargetKind) -> Result<Option<HttpParameters>, EventsError> {
    let Some(parameters) = parameters else { return Ok(None) };
    if !matches!(kind, TargetKind::ApiDestination(_)) {
        return Err(EventsError::Validation("HttpParameters are for API destinations.".to_owned()));
    }
    Ok(Some(HttpParameters {
        path: parameters.path_parameter_values.unwrap_or_default(),
        headers: parameters.header_parameters.unwrap_or_default(),
        query: parameters.query_string_parameters.unwrap_or_default(),
    }))
}

fn retry(policy: Option<wire::RetryPolicy>) -> RetryPolicy {
    let Some(policy) = policy else { return RetryPolicy::DEFAULT };
    // The service model has checked both bounds.
    let number = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    RetryPolicy {
        attempts: number(policy.maximum_retry_attempts),
        age_seconds: number(policy.maximum_event_age_in_seconds),
    }
}

/// Ids that are not there are no error.
pub(super) async fn remove(cx: &Cx<'_>, input: RemoveTargetsInput) -> Result<RemoveTargetsOutput, EventsError> {
    let place = place(cx, input.event_bus_name.as_deref(), &input.rule)?;
    let _changing = cx.events.changing().await;
    let Versioned { value: mut rule, revision, .. } = require(cx, "events:RemoveTargets", &place).await?;
    rule.targets.retain(|target| !input.ids.contains(&target.id));
    cx.events.documents.put(&rule, Expect::Revision(revision)).await?;
    cx.events.take_over(&place.bus).await?;
    Ok(RemoveTargetsOutput { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListTargetsByRuleInput) -> Result<ListTargetsByRuleOutput, EventsError> {
    let place = place(cx, input.event_bus_name.as_deref(), &input.rule)?;
    let mut targets = require(cx, "events:ListTargetsByRule", &place).await?.value.targets;
    targets.sort_by(|a, b| a.id.cmp(&b.id));
    let asked = Asked { limit: input.limit, token: input.next_token };
    let page = asked.of(cx, &format!("targets/{}", place.arn()), targets, |target| target.id.clone())?;
    let targets = page.items.into_iter().map(shown).collect();
    Ok(ListTargetsByRuleOutput { targets: Some(targets), next_token: page.next })
}

pub(super) async fn rule_names(
    cx: &Cx<'_>,
    input: ListRuleNamesByTargetInput,
) -> Result<ListRuleNamesByTargetOutput, EventsError> {
    let bus: BusPlace = cx.own_bus(input.event_bus_name.as_deref())?;
    cx.authorize("events:ListRuleNamesByTarget", &bus.arn())?;
    cx.events.documents.bus(&bus).await?;
    let asked = Asked { limit: input.limit, token: input.next_token };
    let has = |rule: &Rule| rule.targets.iter().any(|target| target.arn.as_str() == input.target_arn);
    let page = asked.documents::<Rule>(cx, &format!("{}/", bus.document()), has).await?;
    let names = page.items.into_iter().map(|rule| rule.name).collect();
    Ok(ListRuleNamesByTargetOutput { rule_names: Some(names), next_token: page.next })
}

fn shown(target: Target) -> wire::Target {
    let (mut constant, mut path, mut transformer) = (None, None, None);
    match target.input {
        Input::Event => {}
        Input::Constant(text) => constant = Some(text),
        Input::Path(text) => path = Some(text),
        Input::Transformer { paths, template } => {
            let paths = (!paths.is_empty()).then_some(paths);
            transformer = Some(wire::InputTransformer { input_paths_map: paths, input_template: template });
        }
    }
    let number = |number: Option<u32>| number.and_then(|number| i32::try_from(number).ok());
    let retry = wire::RetryPolicy {
        maximum_retry_attempts: number(target.retry.attempts),
        maximum_event_age_in_seconds: number(target.retry.age_seconds),
    };
    wire::Target {
        id: target.id,
        arn: target.arn.as_str().to_owned(),
        role_arn: target.role_arn,
        input: constant,
        input_path: path,
        input_transformer: transformer,
        sqs_parameters: target.message_group_id.map(|group| wire::SqsParameters { message_group_id: Some(group) }),
        http_parameters: target.http.map(|http| wire::HttpParameters {
            path_parameter_values: Some(http.path).filter(|path| !path.is_empty()),
            header_parameters: Some(http.headers).filter(|headers| !headers.is_empty()),
            query_string_parameters: Some(http.query).filter(|query| !query.is_empty()),
        }),
        dead_letter_config: target.dead_letter.map(|arn| wire::DeadLetterConfig { arn: Some(arn.as_str().to_owned()) }),
        retry_policy: (target.retry != RetryPolicy::DEFAULT).then_some(retry),
        ..wire::Target::default()
    }
}
