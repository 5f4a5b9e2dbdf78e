//! Operations on connections.

mod held;
mod shown;

use opentrail_catalog::{Expect, Versioned};
use opentrail_wire::events::{
    CreateConnectionInput, CreateConnectionOutput, DeauthorizeConnectionInput, DeauthorizeConnectionOutput,
    DeleteConnectionInput, DeleteConnectionOutput, DescribeConnectionInput, DescribeConnectionOutput,
    ListConnectionsInput, ListConnectionsOutput, UpdateConnectionInput, UpdateConnectionOutput,
};

use self::held::{created, updated};
use super::Cx;
use super::paging::Asked;
use crate::connection::{ApiDestination, AuthorizationKind, Connection, Held};
use crate::error::EventsError;
use crate::place::arn;

/// What policies name: a connection's ARN ends with an id, which a request by name does not know.
fn pattern(cx: &Cx<'_>, name: &str) -> String {
    arn(cx.account(), cx.region(), &format!("connection/{name}"))
}

/// The connection of that name, if the caller may do `action` with it.
async fn require(cx: &Cx<'_>, action: &str, name: &str) -> Result<Versioned<Connection>, EventsError> {
    let found = cx.events.documents.named::<Connection>(cx.account(), cx.region(), name).await;
    let resource = found.as_ref().map_or_else(|_| pattern(cx, name), |found| found.value.arn());
    cx.authorize(action, &resource)?;
    found
}

/// What would go through a private network, or be sealed with a key of KMS, is refused.
fn refuse_settings(is_private: bool, key: Option<&str>) -> Result<(), EventsError> {
    if is_private {
        return Err(EventsError::Unavailable("Connectivity parameters: private APIs are not available.".to_owned()));
    }
    if key.is_some_and(|key| !key.is_empty()) {
        return Err(EventsError::Unavailable(
            "KmsKeyIdentifier is not available: connections are sealed with the server's key ring.".to_owned(),
        ));
    }
    Ok(())
}

/// A token's endpoint must be one that requests may go to.
fn check_endpoint(cx: &Cx<'_>, held: &Held) -> Result<(), EventsError> {
    if let crate::connection::Authorization::OAuth(oauth) = &held.authorization {
        cx.events.outbound.check_url(&oauth.endpoint).map_err(|error| EventsError::Validation(error.to_string()))?;
    }
    Ok(())
}

pub(super) async fn create(cx: &Cx<'_>, input: CreateConnectionInput) -> Result<CreateConnectionOutput, EventsError> {
    cx.authorize("events:CreateConnection", &pattern(cx, &input.name))?;
    let is_private =
        input.invocation_connectivity_parameters.is_some() || input.auth_parameters.connectivity_parameters.is_some();
    refuse_settings(is_private, input.kms_key_identifier.as_deref())?;
    let held = created(AuthorizationKind::from_name(&input.authorization_type), input.auth_parameters)?;
    check_endpoint(cx, &held)?;
    let all = cx.events.documents.all::<Connection>(&cx.prefix()).await?;
    if all.len() >= cx.events.options.most_connections {
        return Err(EventsError::LimitExceeded("The account has as many connections as it may.".to_owned()));
    }
    let now = cx.events.now();
    let mut connection = Connection {
        account: cx.account(),
        region: cx.region().clone(),
        name: input.name,
        id: cx.events.random.uuid().to_string(),
        description: input.description,
        kind: held.authorization.kind(),
        sealed: None,
        created: now,
        modified: now,
        authorized: None,
    };
    connection.hold(&held, &cx.events.ring, now);
    match cx.events.documents.put(&connection, Expect::Absent).await {
        Err(EventsError::Changed) => {
            Err(EventsError::AlreadyExists(format!("Connection {} already exists.", connection.name)))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(CreateConnectionOutput {
            connection_arn: Some(connection.arn()),
            connection_state: Some(connection.state().to_owned()),
            creation_time: Some(connection.created),
            last_modified_time: Some(connection.modified),
        }),
    }
}

/// What the request does not name stays. (API Reference, UpdateConnection.)
pub(super) async fn update(cx: &Cx<'_>, input: UpdateConnectionInput) -> Result<UpdateConnectionOutput, EventsError> {
    let Versioned { value: mut connection, revision, .. } = require(cx, "events:UpdateConnection", &input.name).await?;
    let parameters = input.auth_parameters.unwrap_or_default();
    let is_private = input.invocation_connectivity_parameters.is_some() || parameters.connectivity_parameters.is_some();
    refuse_settings(is_private, input.kms_key_identifier.as_deref())?;
    let kind = input.authorization_type.as_deref().map_or(connection.kind, AuthorizationKind::from_name);
    let held = connection.held(&cx.events.ring)?;
    let held = updated(kind, held, parameters)?;
    check_endpoint(cx, &held)?;
    let now = cx.events.now();
    if input.description.is_some() {
        connection.description = input.description;
    }
    connection.modified = now;
    connection.hold(&held, &cx.events.ring, now);
    cx.events.documents.put(&connection, Expect::Revision(revision)).await?;
    Ok(UpdateConnectionOutput {
        connection_arn: Some(connection.arn()),
        connection_state: Some(connection.state().to_owned()),
        creation_time: Some(connection.created),
        last_modified_time: Some(connection.modified),
        last_authorized_time: connection.authorized,
    })
}

pub(super) async fn describe(
    cx: &Cx<'_>,
    input: DescribeConnectionInput,
) -> Result<DescribeConnectionOutput, EventsError> {
    let connection = require(cx, "events:DescribeConnection", &input.name).await?.value;
    let held = connection.held(&cx.events.ring)?;
    Ok(DescribeConnectionOutput {
        connection_arn: Some(connection.arn()),
        connection_state: Some(connection.state().to_owned()),
        authorization_type: Some(connection.kind.as_str().to_owned()),
        auth_parameters: held.map(|held| shown::parameters(&held)),
        name: Some(connection.name),
        description: connection.description,
        creation_time: Some(connection.created),
        last_modified_time: Some(connection.modified),
        last_authorized_time: connection.authorized,
        ..DescribeConnectionOutput::default()
    })
}

pub(super) async fn list(cx: &Cx<'_>, input: ListConnectionsInput) -> Result<ListConnectionsOutput, EventsError> {
    cx.authorize("events:ListConnections", "*")?;
    let prefix = format!("{}{}", cx.prefix(), input.name_prefix.unwrap_or_default());
    let asked = Asked { limit: input.limit, token: input.next_token };
    let state = input.connection_state;
    let wanted = |connection: &Connection| state.as_deref().is_none_or(|state| state == connection.state());
    let page = asked.documents::<Connection>(cx, &prefix, wanted).await?;
    Ok(ListConnectionsOutput {
        connections: Some(page.items.into_iter().map(shown::listed).collect()),
        next_token: page.next,
    })
}

/// Its secrets are gone at once.
pub(super) async fn deauthorize(
    cx: &Cx<'_>,
    input: DeauthorizeConnectionInput,
) -> Result<DeauthorizeConnectionOutput, EventsError> {
    let Versioned { value: mut connection, revision, .. } =
        require(cx, "events:DeauthorizeConnection", &input.name).await?;
    connection.sealed = None;
    connection.modified = cx.events.now();
    cx.events.documents.put(&connection, Expect::Revision(revision)).await?;
    Ok(DeauthorizeConnectionOutput {
        connection_arn: Some(connection.arn()),
        connection_state: Some(connection.state().to_owned()),
        creation_time: Some(connection.created),
        last_modified_time: Some(connection.modified),
        last_authorized_time: connection.authorized,
    })
}

/// API destinations that use it become inactive.
pub(super) async fn delete(cx: &Cx<'_>, input: DeleteConnectionInput) -> Result<DeleteConnectionOutput, EventsError> {
    let Versioned { key, value: connection, revision } = require(cx, "events:DeleteConnection", &input.name).await?;
    cx.events.documents.delete::<Connection>(&key, revision).await?;
    Ok(DeleteConnectionOutput {
        connection_arn: Some(connection.arn()),
        connection_state: Some("DELETING".to_owned()),
        creation_time: Some(connection.created),
        last_modified_time: Some(connection.modified),
        last_authorized_time: connection.authorized,
    })
}

/// Whether the connection of an API destination is there and authorised.
pub(super) async fn is_active(cx: &Cx<'_>, destination: &ApiDestination) -> Result<bool, EventsError> {
    let found = by_arn(cx, &destination.connection_arn).await?;
    Ok(found.is_some_and(|connection| connection.sealed.is_some()))
}

/// The connection of the caller's with this ARN.
pub(super) async fn by_arn(cx: &Cx<'_>, text: &str) -> Result<Option<Connection>, EventsError> {
    cx.events.connection(text, cx.account(), cx.region()).await
}
