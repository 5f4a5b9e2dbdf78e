//! What of a connection is shown: no secret.

use opentrail_wire::events as wire;

use crate::connection::{Additions, Authorization, Connection, Held, Parameter};

pub(super) fn parameters(held: &Held) -> wire::ConnectionAuthResponseParameters {
    let mut shown = wire::ConnectionAuthResponseParameters {
        invocation_http_parameters: additions(&held.additions),
        ..wire::ConnectionAuthResponseParameters::default()
    };
    match &held.authorization {
        Authorization::ApiKey { name, .. } => {
            let key = wire::ConnectionApiKeyAuthResponseParameters { api_key_name: Some(name.clone()) };
            shown.api_key_auth_parameters = Some(key);
        }
        Authorization::Basic { username, .. } => {
            let basic = wire::ConnectionBasicAuthResponseParameters { username: Some(username.clone()) };
            shown.basic_auth_parameters = Some(basic);
        }
        Authorization::OAuth(oauth) => {
            let client = wire::ConnectionOAuthClientResponseParameters { client_id: Some(oauth.client_id.clone()) };
            shown.o_auth_parameters = Some(wire::ConnectionOAuthResponseParameters {
                client_parameters: Some(client),
                authorization_endpoint: Some(oauth.endpoint.clone()),
                http_method: Some(oauth.method.clone()),
                o_auth_http_parameters: additions(&oauth.additions),
            });
        }
    }
    shown
}

pub(super) fn listed(connection: Connection) -> wire::Connection {
    wire::Connection {
        connection_arn: Some(connection.arn()),
        connection_state: Some(connection.state().to_owned()),
        authorization_type: Some(connection.kind.as_str().to_owned()),
        name: Some(connection.name),
        creation_time: Some(connection.created),
        last_modified_time: Some(connection.modified),
        last_authorized_time: connection.authorized,
        ..wire::Connection::default()
    }
}

/// Values that are secret are left out.
fn additions(additions: &Additions) -> Option<wire::ConnectionHttpParameters> {
    let value = |parameter: &Parameter| (!parameter.is_secret).then(|| parameter.value.expose().to_owned());
    let headers = additions.headers.iter().map(|header| wire::ConnectionHeaderParameter {
        key: Some(header.key.clone()),
        value: value(header),
        is_value_secret: Some(header.is_secret),
    });
    let query = additions.query.iter().map(|query| wire::ConnectionQueryStringParameter {
        key: Some(query.key.clone()),
        value: value(query),
        is_value_secret: Some(query.is_secret),
    });
    let body = additions.body.iter().map(|body| wire::ConnectionBodyParameter {
        key: Some(body.key.clone()),
        value: value(body),
        is_value_secret: Some(body.is_secret),
    });
    let shown = wire::ConnectionHttpParameters {
        header_parameters: Some(headers.collect::<Vec<_>>()).filter(|list| !list.is_empty()),
        query_string_parameters: Some(query.collect::<Vec<_>>()).filter(|list| !list.is_empty()),
        body_parameters: Some(body.collect::<Vec<_>>()).filter(|list| !list.is_empty()),
    };
    let is_empty = additions.headers.is_empty() && additions.query.is_empty() && additions.body.is_empty();
    (!is_empty).then_some(shown)
}
