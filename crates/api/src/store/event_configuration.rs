//! What PutEventConfiguration and GetEventConfiguration do with event data stores: how large events may be, and which
//! context is added to them. (API Reference, PutEventConfiguration; User Guide, "Enriching events".)

use opentrail_stores::{ContextKeySelector, ContextKeyType, EventConfiguration, EventDataStore, Kind, MaxEventSize};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{
    self as wire, GetEventConfigurationOutput, PutEventConfigurationInput, PutEventConfigurationOutput,
};

use super::named::NamedStore;
use crate::context::{Context, Outcome, RecordOrder};
use crate::trail::Changed;

/// The keys of `RequestContext`, in lower case. (API Reference, ContextKeySelector.)
const REQUEST_KEYS: [&str; 22] = [
    "aws:currenttime",
    "aws:epochtime",
    "aws:federatedprovider",
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    "aws:principaltype",
    "aws:requestedregion",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourceidentity",
    "aws:sourceorgid",
    "aws:tokenissuetime",
    "aws:userid",
    "aws:username",
    "aws:viaawsservice",
];

/// Why a configuration is refused. How many selectors and keys there can be is among the service model's constraints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error("Specify MaxEventSize, ContextKeySelectors or both.")]
    Nothing,
    #[error("ContextKeySelectors has two selectors of the type {kind}; put all keys into one.")]
    Repeated { kind: &'static str },
    #[error("{key} is no key of RequestContext that CloudTrail knows.")]
    RequestKey { key: String },
    #[error(
        "ContextKeySelectors need the MaxEventSize Large; to go back to Standard, send an empty list of ContextKeySelectors with it."
    )]
    NeedsLarge,
    #[error("Only event data stores of CloudTrail events have an event configuration, which {arn} is not.")]
    Category { arn: String },
}

/// Sets what a store does with its events. What the request leaves out stays.
pub(crate) async fn put_store_configuration(
    cx: Context<'_>,
    store: NamedStore,
    input: PutEventConfigurationInput,
) -> Outcome<Changed<PutEventConfigurationOutput>> {
    let store = store.require_active()?;
    require_events(&store.value)?;
    if input.max_event_size.is_none() && input.context_key_selectors.is_none() {
        return Err(ConfigurationError::Nothing.into());
    }
    let mut changed = store.value;
    let before = changed.event_configuration.clone();
    let configuration = &mut changed.event_configuration;
    match input.max_event_size.as_deref() {
        Some("Large") => configuration.max_event_size = MaxEventSize::Large,
        Some(_) => configuration.max_event_size = MaxEventSize::Standard,
        None => {}
    }
    if let Some(selectors) = input.context_key_selectors {
        configuration.context_key_selectors = from_wire(selectors)?;
    }
    if !configuration.context_key_selectors.is_empty() && configuration.max_event_size != MaxEventSize::Large {
        return Err(ConfigurationError::NeedsLarge.into());
    }
    let (max_event_size, context_key_selectors) = to_wire(configuration);
    let output = PutEventConfigurationOutput {
        event_data_store_arn: Some(changed.arn().to_string()),
        max_event_size,
        context_key_selectors,
        ..PutEventConfigurationOutput::default()
    };
    if changed.event_configuration == before {
        return Ok(Changed::nothing(output));
    }
    changed.updated = cx.now();
    Ok(Changed::new(output, cx.replace_store(changed, store.revision, RecordOrder::RecordFirst).await?))
}

/// What a store does with its events.
pub(crate) fn get_store_configuration(store: NamedStore) -> Outcome<GetEventConfigurationOutput> {
    let store = store.require()?.value;
    require_events(&store)?;
    if store.gone_at.is_some() {
        let message = format!("The event data store {} is pending deletion; restore it first.", store.arn());
        return Err(Exception::invalid_event_data_store_status(message).into());
    }
    let (max_event_size, context_key_selectors) = to_wire(&store.event_configuration);
    Ok(GetEventConfigurationOutput {
        event_data_store_arn: Some(store.arn().to_string()),
        max_event_size,
        context_key_selectors,
        ..GetEventConfigurationOutput::default()
    })
}

fn require_events(store: &EventDataStore) -> Result<(), ConfigurationError> {
    match store.kind() {
        Kind::CloudTrail => Ok(()),
        _ => Err(ConfigurationError::Category { arn: store.arn().to_string() }),
    }
}

fn from_wire(selectors: Vec<wire::ContextKeySelector>) -> Result<Vec<ContextKeySelector>, ConfigurationError> {
    let mut read: Vec<ContextKeySelector> = Vec::new();
    for wire::ContextKeySelector { r#type, equals } in selectors {
        let kind = match &*r#type {
            "TagContext" => ContextKeyType::TagContext,
            _ => ContextKeyType::RequestContext,
        };
        if read.iter().any(|known| known.kind == kind) {
            return Err(ConfigurationError::Repeated { kind: kind.as_str() });
        }
        let unknown = |key: &&String| !REQUEST_KEYS.contains(&&*key.to_ascii_lowercase());
        if kind == ContextKeyType::RequestContext
            && let Some(key) = equals.iter().find(unknown)
        {
            return Err(ConfigurationError::RequestKey { key: key.clone() });
        }
        read.push(ContextKeySelector { kind, equals });
    }
    Ok(read)
}

type Members = (Option<String>, Option<Vec<wire::ContextKeySelector>>);

fn to_wire(configuration: &EventConfiguration) -> Members {
    let selector = |selector: &ContextKeySelector| wire::ContextKeySelector {
        r#type: selector.kind.as_str().into(),
        equals: selector.equals.clone(),
    };
    let selectors = configuration.context_key_selectors.iter().map(selector).collect();
    (Some(configuration.max_event_size.as_str().into()), Some(selectors))
}
