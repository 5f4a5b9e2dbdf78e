use std::collections::BTreeSet;

use opentrail_event::Event;
use opentrail_filters::FilterPattern;
use opentrail_identity::Principal;
use opentrail_model::{AccountId, Source};
use opentrail_wire::Exception;
use serde::Deserialize;

use crate::front::Parts;

/// The most values of one kind that a client may ask for.
const MOST_VALUES: usize = 100;
const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// What a client asks to see; without anything all events of its account.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct TailInput {
    /// A filter pattern of CloudWatch Logs.
    filter_pattern: Option<String>,
    /// A condition in CloudTrail Lake's SQL upon the columns of an event data store.
    #[serde(rename = "Where")]
    pub(super) condition: Option<String>,
    /// Of the caller's own account; of members of its organization for who administers that.
    accounts: Vec<AccountId>,
    /// All members of the organization that the caller administers.
    organization: bool,
    regions: Vec<String>,
    /// User names as LookupEvents has them, ARNs or access keys.
    users: Vec<String>,
    event_names: Vec<String>,
    event_sources: Vec<String>,
    /// Failed calls only.
    errors_only: bool,
    /// Calls that change something only.
    writes_only: bool,
    /// Begins after this position, and not now.
    pub(super) after: Option<u64>,
}

impl TailInput {
    pub(super) fn read(body: &[u8]) -> Result<Self, Exception> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let input: Self = serde_json::from_slice(body)
            .map_err(|error| Exception::validation(format!("The request is not what TailEvents takes: {error}.")))?;
        let lists = [
            ("Accounts", input.accounts.len()),
            ("Regions", input.regions.len()),
            ("Users", input.users.len()),
            ("EventNames", input.event_names.len()),
            ("EventSources", input.event_sources.len()),
        ];
        match lists.iter().find(|(_, values)| *values > MOST_VALUES) {
            Some((name, _)) => Err(Exception::validation(format!("{name} may have {MOST_VALUES} values."))),
            None => Ok(input),
        }
    }
}

/// Which events a client is sent.
#[derive(Debug)]
pub(super) struct Filter {
    pattern: Option<FilterPattern>,
    accounts: BTreeSet<AccountId>,
    /// All members of the organization, whoever they are at the time.
    organization: bool,
    regions: BTreeSet<String>,
    users: BTreeSet<String>,
    event_names: BTreeSet<String>,
    event_sources: BTreeSet<String>,
    errors_only: bool,
    writes_only: bool,
}

impl Filter {
    /// # Errors
    /// When the pattern is none, or an account is not the caller's to watch.
    pub(super) fn of(input: &TailInput, parts: &Parts, principal: &Principal) -> Result<Self, Exception> {
        let pattern = input.filter_pattern.as_deref().map(FilterPattern::parse).transpose();
        let pattern = pattern.map_err(|error| Exception::validation(format!("FilterPattern: {error}.")))?;
        let set = |values: &[String]| values.iter().cloned().collect();
        let mut filter = Self {
            pattern,
            accounts: input.accounts.iter().copied().collect(),
            organization: input.organization,
            regions: set(&input.regions),
            users: set(&input.users),
            event_names: set(&input.event_names),
            event_sources: set(&input.event_sources),
            errors_only: input.errors_only,
            writes_only: input.writes_only,
        };
        filter.renew(parts, principal)?;
        Ok(filter)
    }

    /// Asks again whose events the caller may watch.
    ///
    /// # Errors
    /// When an account that it watches is not its own and not, or no longer, in an organization that it administers.
    pub(super) fn renew(&mut self, parts: &Parts, principal: &Principal) -> Result<(), Exception> {
        let own = principal.account;
        let organization = parts.services.organizations.of(own);
        let administered = organization.filter(|it| it.management == own || it.is_delegated(own, CLOUDTRAIL));
        let members: BTreeSet<AccountId> =
            administered.iter().flat_map(|organization| organization.active_members()).chain([own]).collect();
        if self.organization {
            if administered.is_none() {
                let message =
                    format!("Account {own} administers no organization: its own events are all it may watch.");
                return Err(Exception::access_denied(message));
            }
            self.accounts = members;
        } else if self.accounts.is_empty() {
            self.accounts = [own].into();
        } else if let Some(foreign) = self.accounts.difference(&members).next() {
            let message = format!(
                "Account {own} may not watch {foreign}, which is no member of an organization that it administers."
            );
            return Err(Exception::access_denied(message));
        }
        Ok(())
    }

    /// Whether the event is to be sent. What is imported happened long ago.
    pub(super) fn takes(&self, event: Event<'_>) -> bool {
        let is_in = |values: &BTreeSet<String>, value: Option<&str>| {
            values.is_empty() || value.is_some_and(|value| values.contains(value))
        };
        let is_user =
            || [event.username(), event.user_arn(), event.access_key_id()].iter().any(|user| is_in(&self.users, *user));
        !matches!(event.source(), Source::Import | Source::StoreInsights)
            && self.accounts.contains(&event.account())
            && is_in(&self.event_names, event.name())
            && is_in(&self.event_sources, event.event_source())
            && is_in(&self.regions, event.region())
            && (!self.errors_only || event.error_code().is_some())
            && (!self.writes_only || event.read_only() != Some(true))
            && is_user()
            && self.matches(event.raw())
    }

    fn matches(&self, record: &[u8]) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        std::str::from_utf8(record).is_ok_and(|record| pattern.matches(record))
    }
}
