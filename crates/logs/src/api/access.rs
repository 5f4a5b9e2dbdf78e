//! Who may do what with which group: by the caller's own policies.
//!
//! A group is known to policies in two ways: by its ARN, and by its ARN with `:*` (or more) at the end, which is how CloudWatch
//! Logs itself asks, with `:log-stream:` and no stream. Either suffices here, and a denial of either is one. (CloudWatch Logs
//! User Guide, "Overview of managing access permissions to your CloudWatch Logs resources"; the form in which refusals name the
//! resource is as observed in AWS's messages.)

use opentrail_identity::{AccessRequest, Context, Decision};

use super::Cx;
use crate::error::{LogsError, invalid, no_group};
use crate::place::{GroupPlace, is_group_name};
use crate::store::GroupRow;

impl Cx<'_> {
    /// The group of that name, on which the policies must allow `action` (`logs:…`).
    pub(super) async fn group(&self, name: &str, action: &str) -> Result<GroupRow, LogsError> {
        self.group_at(&self.own_group(name), action, None).await
    }

    /// The group that a name or an ARN says, of which one must be given, on which the policies must allow `action`.
    pub(super) async fn group_of_either(
        &self,
        name: Option<&str>,
        identifier: Option<&str>,
        action: &str,
    ) -> Result<GroupRow, LogsError> {
        let place = match (name, identifier) {
            (Some(name), None) => self.own_group(name),
            (None, Some(identifier)) => self.identified(identifier)?,
            (Some(_), Some(_)) => {
                return Err(invalid("LogGroup name and LogGroup identifier cannot both be given: leave one out."));
            }
            (None, None) => return Err(invalid("Give logGroupName or logGroupIdentifier.")),
        };
        self.group_at(&place, action, None).await
    }

    /// The group, on which, or on whose `stream`, the policies must allow `action`.
    pub(super) async fn group_at(
        &self,
        place: &GroupPlace,
        action: &str,
        stream: Option<&str>,
    ) -> Result<GroupRow, LogsError> {
        self.group_under(place, action, stream, self.conditions.clone()).await
    }

    /// As [`Self::group_at`], with the condition keys of the call in `conditions`.
    pub(super) async fn group_under(
        &self,
        place: &GroupPlace,
        action: &str,
        stream: Option<&str>,
        mut conditions: Context,
    ) -> Result<GroupRow, LogsError> {
        self.touch(place);
        let found = self.logs.shared.store.find_group(place).await?;
        let tags = found.as_ref().map(|group| &group.tags);
        for (key, value) in tags.into_iter().flatten() {
            conditions.insert(&format!("aws:ResourceTag/{key}"), value.as_str());
        }
        match stream {
            Some(stream) => self.authorize_resource(action, &place.stream_arn(stream), &conditions)?,
            None => self.authorize_group(place, action, &conditions)?,
        }
        // Groups of other accounts are not shared here.
        found.filter(|group| group.place.account == self.call.principal.account).ok_or_else(no_group)
    }

    /// Checks that the policies allow `action` on a group that need not be there.
    pub(super) fn authorize_group(
        &self,
        place: &GroupPlace,
        action: &str,
        conditions: &Context,
    ) -> Result<(), LogsError> {
        let full = format!("{}:log-stream:", place.arn());
        let by_full = self.decide(action, &full, conditions);
        let by_arn = self.decide(action, &place.arn(), conditions);
        let explicit = [by_full, by_arn].into_iter().find(|decision| matches!(decision, Decision::ExplicitDeny { .. }));
        if explicit.is_none() && (by_full.is_allowed() || by_arn.is_allowed()) {
            return Ok(());
        }
        Err(self.denied(explicit.unwrap_or(by_full), action, &full))
    }

    /// Checks that the policies allow `action` on what is no single group: all groups of the account.
    pub(super) fn authorize_all_groups(&self, action: &str) -> Result<(), LogsError> {
        self.authorize_group(&self.own_group(""), action, &self.conditions)
    }

    /// Checks that the policies allow an action that is about no resource.
    pub(super) fn authorize_plainly(&self, action: &str) -> Result<(), LogsError> {
        let decision = self.decide(action, "*", &self.conditions);
        if decision.is_allowed() {
            return Ok(());
        }
        let principal = &self.call.principal;
        Err(LogsError::AccessDenied(decision.message(principal, action, "*", false)))
    }

    fn authorize_resource(&self, action: &str, arn: &str, conditions: &Context) -> Result<(), LogsError> {
        let decision = self.decide(action, arn, conditions);
        if decision.is_allowed() { Ok(()) } else { Err(self.denied(decision, action, arn)) }
    }

    /// The condition keys of the call, with those of tags that it sets or removes.
    pub(super) fn conditions_with_tags<'t>(
        &self,
        tags: impl IntoIterator<Item = (&'t String, Option<&'t String>)>,
    ) -> Context {
        let (mut conditions, mut keys) = (self.conditions.clone(), Vec::new());
        for (key, value) in tags {
            if let Some(value) = value {
                conditions.insert(&format!("aws:RequestTag/{key}"), value.as_str());
            }
            keys.push(key.clone());
        }
        if !keys.is_empty() {
            conditions.insert_all("aws:TagKeys", keys);
        }
        conditions
    }

    fn decide(&self, action: &str, resource: &str, context: &Context) -> Decision {
        let request = AccessRequest { action, resource, context, resource_policy: None, resource_account: None };
        self.logs.shared.directory.authorize(&self.call.principal, &request)
    }

    fn denied(&self, decision: Decision, action: &str, resource: &str) -> LogsError {
        LogsError::AccessDenied(decision.message(&self.call.principal, action, resource, true))
    }

    /// The group that a name or an ARN says.
    pub(super) fn identified(&self, identifier: &str) -> Result<GroupPlace, LogsError> {
        if identifier.starts_with("arn:") {
            let place = GroupPlace::from_arn(identifier).map_err(|error| invalid(format!("{error}.")))?;
            if place.region != self.call.region {
                return Err(invalid(format!("{identifier} is in another Region than {}.", self.call.region)));
            }
            return Ok(place);
        }
        if !is_group_name(identifier) {
            return Err(invalid(format!("{identifier:?} is neither the name nor the ARN of a log group.")));
        }
        Ok(self.own_group(identifier))
    }
}
