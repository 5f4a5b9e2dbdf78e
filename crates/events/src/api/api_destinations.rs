//! Operations on API destinations.

use opentrail_catalog::{Expect, Versioned};
use opentrail_wire::events as wire;
use opentrail_wire::events::{
    CreateApiDestinationInput, CreateApiDestinationOutput, DeleteApiDestinationInput, DeleteApiDestinationOutput,
    DescribeApiDestinationInput, DescribeApiDestinationOutput, ListApiDestinationsInput, ListApiDestinationsOutput,
    UpdateApiDestinationInput, UpdateApiDestinationOutput,
};

use super::Cx;
use super::connections::{by_arn, is_active};
use super::paging::Asked;
use crate::connection::ApiDestination;
use crate::error::EventsError;
use crate::place::arn;

/// Requests in a second unless an API destination says otherwise. (API Reference, CreateApiDestination.)
const DEFAULT_RATE: u32 = 300;

/// What policies name: the ARN ends with an id, which a request by name does not know.
fn pattern(cx: &Cx<'_>, name: &str) -> String {
    arn(cx.account(), cx.region(), &format!("api-destination/{name}"))
}

/// The API destination of that name, if the caller may do `action` with it.
async fn require(cx: &Cx<'_>, action: &str, name: &str) -> Result<Versioned<ApiDestination>, EventsError> {
    let found = cx.events.documents.named::<ApiDestination>(cx.account(), cx.region(), name).await;
    let resource = found.as_ref().map_or_else(|_| pattern(cx, name), |found| found.value.arn());
    cx.authorize(action, &resource)?;
    found
}

async fn require_connection(cx: &Cx<'_>, text: &str) -> Result<(), EventsError> {
    let missing = || EventsError::NotFound(format!("Connection '{text}' does not exist."));
    by_arn(cx, text).await?.map(drop).ok_or_else(missing)
}

/// Requests may go there, as far as its text tells. `http` is taken where the address is allowed: a choice of ours.
fn check_endpoint(cx: &Cx<'_>, endpoint: &str) -> Result<(), EventsError> {
    // The stars are for path parameters; any text does here.
    let filled = endpoint.replace('*', "x");
    cx.events.outbound.check_url(&filled).map_err(|error| {
        EventsError::Validation(format!("Parameter InvocationEndpoint is not valid. Reason: {error}."))
    })?;
    Ok(())
}

fn rate(asked: Option<i32>) -> Option<u32> {
    asked.and_then(|rate| u32::try_from(rate).ok())
}

pub(super) async fn create(
    cx: &Cx<'_>,
    input: CreateApiDestinationInput,
) -> Result<CreateApiDestinationOutput, EventsError> {
    cx.authorize("events:CreateApiDestination", &pattern(cx, &input.name))?;
    require_connection(cx, &input.connection_arn).await?;
    check_endpoint(cx, &input.invocation_endpoint)?;
    let all = cx.events.documents.all::<ApiDestination>(&cx.prefix()).await?;
    if all.len() >= cx.events.options.most_connections {
        return Err(EventsError::LimitExceeded("The account has as many API destinations as it may.".to_owned()));
    }
    let now = cx.events.now();
    let destination = ApiDestination {
        account: cx.account(),
        region: cx.region().clone(),
        name: input.name,
        id: cx.events.random.uuid().to_string(),
        description: input.description,
        connection_arn: input.connection_arn,
        endpoint: input.invocation_endpoint,
        method: input.http_method,
        rate: rate(input.invocation_rate_limit_per_second).unwrap_or(DEFAULT_RATE),
        created: now,
        modified: now,
    };
    match cx.events.documents.put(&destination, Expect::Absent).await {
        Err(EventsError::Changed) => {
            return Err(EventsError::AlreadyExists(format!("ApiDestination {} already exists.", destination.name)));
        }
        done => done?,
    }
    Ok(CreateApiDestinationOutput {
        api_destination_arn: Some(destination.arn()),
        api_destination_state: Some(state(cx, &destination).await?),
        creation_time: Some(destination.created),
        last_modified_time: Some(destination.modified),
    })
}

async fn state(cx: &Cx<'_>, destination: &ApiDestination) -> Result<String, EventsError> {
    let state = if is_active(cx, destination).await? { "ACTIVE" } else { "INACTIVE" };
    Ok(state.to_owned())
}

pub(super) async fn update(
    cx: &Cx<'_>,
    input: UpdateApiDestinationInput,
) -> Result<UpdateApiDestinationOutput, EventsError> {
    let Versioned { value: mut destination, revision, .. } =
        require(cx, "events:UpdateApiDestination", &input.name).await?;
    if let Some(connection) = input.connection_arn {
        require_connection(cx, &connection).await?;
        destination.connection_arn = connection;
    }
    if let Some(endpoint) = input.invocation_endpoint {
        check_endpoint(cx, &endpoint)?;
        destination.endpoint = endpoint;
    }
    destination.method = input.http_method.unwrap_or(destination.method);
    destination.rate = rate(input.invocation_rate_limit_per_second).unwrap_or(destination.rate);
    if input.description.is_some() {
        destination.description = input.description;
    }
    destination.modified = cx.events.now();
    cx.events.documents.put(&destination, Expect::Revision(revision)).await?;
    Ok(UpdateApiDestinationOutput {
        api_destination_arn: Some(destination.arn()),
        api_destination_state: Some(state(cx, &destination).await?),
        creation_time: Some(destination.created),
        last_modified_time: Some(destination.modified),
    })
}

pub(super) async fn describe(
    cx: &Cx<'_>,
    input: DescribeApiDestinationInput,
) -> Result<DescribeApiDestinationOutput, EventsError> {
    let destination = require(cx, "events:DescribeApiDestination", &input.name).await?.value;
    Ok(DescribeApiDestinationOutput {
        api_destination_arn: Some(destination.arn()),
        api_destination_state: Some(state(cx, &destination).await?),
        name: Some(destination.name),
        description: destination.description,
        connection_arn: Some(destination.connection_arn),
        invocation_endpoint: Some(destination.endpoint),
        http_method: Some(destination.method),
        invocation_rate_limit_per_second: i32::try_from(destination.rate).ok(),
        creation_time: Some(destination.created),
        last_modified_time: Some(destination.modified),
    })
}

pub(super) async fn list(
    cx: &Cx<'_>,
    input: ListApiDestinationsInput,
) -> Result<ListApiDestinationsOutput, EventsError> {
    cx.authorize("events:ListApiDestinations", "*")?;
    let prefix = format!("{}{}", cx.prefix(), input.name_prefix.unwrap_or_default());
    let asked = Asked { limit: input.limit, token: input.next_token };
    let connection = input.connection_arn;
    let wanted = |found: &ApiDestination| connection.as_deref().is_none_or(|arn| arn == found.connection_arn);
    let page = asked.documents::<ApiDestination>(cx, &prefix, wanted).await?;
    let mut shown = Vec::with_capacity(page.items.len());
    for destination in page.items {
        shown.push(wire::ApiDestination {
            api_destination_arn: Some(destination.arn()),
            api_destination_state: Some(state(cx, &destination).await?),
            name: Some(destination.name),
            connection_arn: Some(destination.connection_arn),
            invocation_endpoint: Some(destination.endpoint),
            http_method: Some(destination.method),
            invocation_rate_limit_per_second: i32::try_from(destination.rate).ok(),
            creation_time: Some(destination.created),
            last_modified_time: Some(destination.modified),
        });
    }
    Ok(ListApiDestinationsOutput { api_destinations: Some(shown), next_token: page.next })
}

pub(super) async fn delete(
    cx: &Cx<'_>,
    input: DeleteApiDestinationInput,
) -> Result<DeleteApiDestinationOutput, EventsError> {
    let found = require(cx, "events:DeleteApiDestination", &input.name).await?;
    cx.events.documents.delete::<ApiDestination>(&found.key, found.revision).await?;
    Ok(DeleteApiDestinationOutput {})
}
