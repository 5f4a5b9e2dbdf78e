//! Operations on log groups and their retention.

use std::collections::BTreeMap;

use opentrail_wire::logs::{
    CreateLogGroupInput, DeleteLogGroupInput, DeleteRetentionPolicyInput, DescribeLogGroupsInput,
    DescribeLogGroupsOutput, ListLogGroupsInput, ListLogGroupsOutput, LogGroup, LogGroupSummary,
    PutLogGroupDeletionProtectionInput, PutRetentionPolicyInput,
};

use super::paging::{behind, limit, token};
use super::{Cx, tags};
use crate::error::{LogsError, invalid};
use crate::store::{GroupRow, delete_group};

/// (CloudWatch Logs User Guide, "CloudWatch Logs quotas".)
const MOST_GROUPS: usize = 1_000_000;

/// (API Reference, PutRetentionPolicy, `retentionInDays`.)
const RETENTIONS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

pub(super) async fn create(cx: &Cx<'_>, input: CreateLogGroupInput) -> Result<(), LogsError> {
    let place = cx.own_group(&input.log_group_name);
    cx.touch(&place);
    let given = input.tags.unwrap_or_default();
    let conditions = cx.conditions_with_tags(given.iter().map(|(key, value)| (key, Some(value))));
    cx.authorize_group(&place, "logs:CreateLogGroup", &conditions)?;
    if !given.is_empty() {
        cx.authorize_group(&place, "logs:TagResource", &conditions)?;
    }
    if input.kms_key_id.is_some() {
        return Err(invalid("Log groups with a KMS key are not available here: leave kmsKeyId out."));
    }
    if let Some(class) = input.log_group_class.filter(|class| class != "STANDARD") {
        return Err(invalid(format!("The log group class {class} is not available here: use STANDARD.")));
    }
    let mut all = BTreeMap::new();
    tags::put(&mut all, given)?;
    let protected = input.deletion_protection_enabled.unwrap_or(false);
    if cx.logs.shared.store.create_group(&place, cx.logs.now(), protected, &all).await? {
        return Ok(());
    }
    Err(LogsError::AlreadyExists("The specified log group already exists".to_owned()))
}

pub(super) async fn delete(cx: &Cx<'_>, input: DeleteLogGroupInput) -> Result<(), LogsError> {
    let group = cx.group(&input.log_group_name, "logs:DeleteLogGroup").await?;
    if group.protected {
        return Err(LogsError::Validation(
            "The log group is protected from deletion. Switch deletion protection off first.".to_owned(),
        ));
    }
    let mut writing = cx.logs.shared.store.write().await?;
    delete_group(&mut writing, group.id).await?;
    writing.commit().await?;
    cx.logs.shared.filters.send_modify(|version| *version += 1);
    Ok(())
}

pub(super) async fn protect(cx: &Cx<'_>, input: PutLogGroupDeletionProtectionInput) -> Result<(), LogsError> {
    let place = cx.identified(&input.log_group_identifier)?;
    let group = cx.group_at(&place, "logs:PutLogGroupDeletionProtection", None).await?;
    cx.logs.shared.store.set_protected(group.id, input.deletion_protection_enabled).await
}

pub(super) async fn describe(cx: &Cx<'_>, input: DescribeLogGroupsInput) -> Result<DescribeLogGroupsOutput, LogsError> {
    cx.authorize_all_groups("logs:DescribeLogGroups")?;
    if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
        return Err(invalid("logGroupNamePrefix and logGroupNamePattern are mutually exclusive parameters."));
    }
    let linked = input.include_linked_accounts == Some(true);
    refuse_accounts(cx, linked, input.account_identifiers.as_deref())?;
    if let Some(identifiers) = input.log_group_identifiers {
        let mut found = Vec::new();
        for identifier in identifiers {
            let place = cx.identified(&identifier)?;
            let group = cx.logs.shared.store.find_group(&place).await?;
            found.extend(group.filter(|group| group.place.account == cx.call.principal.account));
        }
        return Ok(DescribeLogGroupsOutput { log_groups: Some(shown(cx, found).await?), next_token: None });
    }
    if input.log_group_class.as_deref().is_some_and(|class| class != "STANDARD") {
        return Ok(DescribeLogGroupsOutput { log_groups: Some(Vec::new()), next_token: None });
    }
    let pattern = input.log_group_name_pattern.map(|pattern| pattern.to_lowercase());
    let wanted = |group: &GroupRow| {
        pattern.as_ref().is_none_or(|pattern| group.place.name.to_lowercase().contains(pattern.as_str()))
    };
    let prefix = input.log_group_name_prefix.unwrap_or_default();
    let after = behind("groups", input.next_token.as_deref())?.unwrap_or_default();
    let (groups, next) = page(cx, &prefix, after, limit(input.limit, 50), wanted).await?;
    Ok(DescribeLogGroupsOutput { log_groups: Some(shown(cx, groups).await?), next_token: next })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListLogGroupsInput) -> Result<ListLogGroupsOutput, LogsError> {
    cx.authorize_all_groups("logs:ListLogGroups")?;
    refuse_accounts(cx, input.include_linked_accounts == Some(true), input.account_identifiers.as_deref())?;
    if input.data_sources.is_some() || input.field_index_names.is_some() || input.log_group_tags.is_some() {
        return Err(invalid("dataSources, fieldIndexNames and logGroupTags are not available here: leave them out."));
    }
    if input.log_group_class.as_deref().is_some_and(|class| class != "STANDARD") {
        return Ok(ListLogGroupsOutput { log_groups: Some(Vec::new()), next_token: None });
    }
    // Alternatives between |, at the beginning of the name after ^. (API Reference, ListLogGroups.)
    let pattern = input.log_group_name_pattern.unwrap_or_default();
    let wanted = |group: &GroupRow| {
        pattern.split('|').any(|one| match one.strip_prefix('^') {
            Some(start) => group.place.name.starts_with(start),
            None => group.place.name.contains(one),
        })
    };
    let after = behind("groups", input.next_token.as_deref())?.unwrap_or_default();
    let (groups, next) = page(cx, "", after, limit(input.limit, 50), wanted).await?;
    let summary = |group: GroupRow| LogGroupSummary {
        log_group_arn: Some(group.place.arn()),
        log_group_name: Some(group.place.name),
        log_group_class: Some("STANDARD".to_owned()),
    };
    Ok(ListLogGroupsOutput { log_groups: Some(groups.into_iter().map(summary).collect()), next_token: next })
}

pub(super) async fn put_retention(cx: &Cx<'_>, input: PutRetentionPolicyInput) -> Result<(), LogsError> {
    let group = cx.group(&input.log_group_name, "logs:PutRetentionPolicy").await?;
    let days = input.retention_in_days;
    if !RETENTIONS.contains(&days) {
        let possible = RETENTIONS.iter().map(ToString::to_string);
        let possible = possible.collect::<Vec<_>>().join(", ");
        return Err(invalid(format!("retentionInDays {days} is not possible: use one of {possible}.")));
    }
    cx.logs.shared.store.set_retention(group.id, Some(i64::from(days))).await
}

pub(super) async fn delete_retention(cx: &Cx<'_>, input: DeleteRetentionPolicyInput) -> Result<(), LogsError> {
    let group = cx.group(&input.log_group_name, "logs:DeleteRetentionPolicy").await?;
    cx.logs.shared.store.set_retention(group.id, None).await
}

/// A page of the caller's groups that are `wanted`, by name, behind `after`; and the token of the next one.
async fn page(
    cx: &Cx<'_>,
    prefix: &str,
    mut after: String,
    limit: usize,
    wanted: impl Fn(&GroupRow) -> bool,
) -> Result<(Vec<GroupRow>, Option<String>), LogsError> {
    let place = (cx.call.principal.account, &cx.call.region);
    let mut found: Vec<GroupRow> = Vec::new();
    let mut seen = 0;
    while found.len() <= limit && seen < MOST_GROUPS {
        let groups = cx.logs.shared.store.groups(place, prefix, &after, 1000).await?;
        let Some(last) = groups.last() else { break };
        after.clone_from(&last.place.name);
        seen += groups.len();
        found.extend(groups.into_iter().filter(&wanted));
    }
    let next = (found.len() > limit).then(|| token("groups", &found[limit - 1].place.name));
    found.truncate(limit);
    Ok((found, next))
}

async fn shown(cx: &Cx<'_>, groups: Vec<GroupRow>) -> Result<Vec<LogGroup>, LogsError> {
    let mut shown = Vec::with_capacity(groups.len());
    for group in groups {
        let filters = cx.logs.shared.store.metric_filter_count(group.id).await?;
        shown.push(LogGroup {
            creation_time: Some(group.created),
            retention_in_days: group.retention_days.and_then(|days| i32::try_from(days).ok()),
            metric_filter_count: Some(i32::try_from(filters).unwrap_or(i32::MAX)),
            arn: Some(group.place.arn_with_streams()),
            stored_bytes: Some(group.stored_bytes),
            log_group_class: Some("STANDARD".to_owned()),
            log_group_arn: Some(group.place.arn()),
            deletion_protection_enabled: Some(group.protected),
            log_group_name: Some(group.place.name),
            ..LogGroup::default()
        });
    }
    Ok(shown)
}

/// Groups of other accounts are not shared here.
fn refuse_accounts(cx: &Cx<'_>, linked: bool, accounts: Option<&[String]>) -> Result<(), LogsError> {
    let own = cx.call.principal.account.to_string();
    if linked || accounts.is_some_and(|accounts| accounts.iter().any(|account| *account != own)) {
        return Err(invalid(
            "There are no linked accounts here: leave includeLinkedAccounts and accountIdentifiers out.",
        ));
    }
    Ok(())
}
