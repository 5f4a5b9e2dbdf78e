//! What a connection is to hold, out of what requests give.

use opentrail_wire::events as wire;

use crate::connection::{Additions, Authorization, AuthorizationKind, Held, Hidden, OAuth, Parameter};
use crate::error::EventsError;

/// What a new connection holds.
pub(super) fn created(
    kind: AuthorizationKind,
    parameters: wire::CreateConnectionAuthRequestParameters,
) -> Result<Held, EventsError> {
    let wire::CreateConnectionAuthRequestParameters {
        basic_auth_parameters: basic,
        o_auth_parameters: oauth,
        api_key_auth_parameters: api_key,
        invocation_http_parameters: http,
        ..
    } = parameters;
    refuse_others(kind, basic.is_some(), oauth.is_some(), api_key.is_some())?;
    let authorization = match (kind, basic, oauth, api_key) {
        (AuthorizationKind::Basic, Some(basic), ..) => {
            Authorization::Basic { username: basic.username, password: Hidden::new(basic.password) }
        }
        (AuthorizationKind::OauthClientCredentials, _, Some(oauth), _) => Authorization::OAuth(OAuth {
            client_id: oauth.client_parameters.client_id,
            client_secret: Hidden::new(oauth.client_parameters.client_secret),
            endpoint: oauth.authorization_endpoint,
            method: oauth.http_method,
            additions: additions(oauth.o_auth_http_parameters),
        }),
        (AuthorizationKind::ApiKey, _, _, Some(key)) => {
            Authorization::ApiKey { name: key.api_key_name, value: Hidden::new(key.api_key_value) }
        }
        _ => return Err(missing(kind)),
    };
    let held = Held { authorization, additions: additions(http) };
    check(&held)?;
    Ok(held)
}

/// What a connection holds after an update: what the request does not name stays, if the kind does.
pub(super) fn updated(
    kind: AuthorizationKind,
    held: Option<Held>,
    parameters: wire::UpdateConnectionAuthRequestParameters,
) -> Result<Held, EventsError> {
    let wire::UpdateConnectionAuthRequestParameters {
        basic_auth_parameters: basic,
        o_auth_parameters: oauth,
        api_key_auth_parameters: api_key,
        invocation_http_parameters: http,
        ..
    } = parameters;
    refuse_others(kind, basic.is_some(), oauth.is_some(), api_key.is_some())?;
    let (old, old_additions) = match held {
        Some(held) => (Some(held.authorization).filter(|old| old.kind() == kind), held.additions),
        None => (None, Additions::default()),
    };
    let authorization = match kind {
        AuthorizationKind::Basic => updated_basic(old, basic.unwrap_or_default()),
        AuthorizationKind::ApiKey => updated_api_key(old, api_key.unwrap_or_default()),
        AuthorizationKind::OauthClientCredentials => updated_oauth(old, oauth.unwrap_or_default()),
    };
    let additions = http.map_or(old_additions, |http| additions(Some(http)));
    let held = Held { authorization: authorization.ok_or_else(|| missing(kind))?, additions };
    check(&held)?;
    Ok(held)
}

fn updated_basic(
    old: Option<Authorization>,
    new: wire::UpdateConnectionBasicAuthRequestParameters,
) -> Option<Authorization> {
    let (old_name, old_password) = match old {
        Some(Authorization::Basic { username, password }) => (Some(username), Some(password)),
        _ => (None, None),
    };
    Some(Authorization::Basic {
        username: new.username.or(old_name)?,
        password: new.password.map(Hidden::new).or(old_password)?,
    })
}

fn updated_api_key(
    old: Option<Authorization>,
    new: wire::UpdateConnectionApiKeyAuthRequestParameters,
) -> Option<Authorization> {
    let (old_name, old_value) = match old {
        Some(Authorization::ApiKey { name, value }) => (Some(name), Some(value)),
        _ => (None, None),
    };
    Some(Authorization::ApiKey {
        name: new.api_key_name.or(old_name)?,
        value: new.api_key_value.map(Hidden::new).or(old_value)?,
    })
}

fn updated_oauth(
    old: Option<Authorization>,
    new: wire::UpdateConnectionOAuthRequestParameters,
) -> Option<Authorization> {
    let old = match old {
        Some(Authorization::OAuth(old)) => Some(old),
        _ => None,
    };
    let client = new.client_parameters.unwrap_or_default();
    let old = |part: fn(&OAuth) -> String| old.as_ref().map(part);
    let old_secret = old(|old| old.client_secret.expose().to_owned()).map(Hidden::new);
    Some(Authorization::OAuth(OAuth {
        client_id: client.client_id.or(old(|old| old.client_id.clone()))?,
        client_secret: client.client_secret.map(Hidden::new).or(old_secret)?,
        endpoint: new.authorization_endpoint.or(old(|old| old.endpoint.clone()))?,
        method: new.http_method.or(old(|old| old.method.clone()))?,
        additions: additions(new.o_auth_http_parameters),
    }))
}

fn missing(kind: AuthorizationKind) -> EventsError {
    let name = match kind {
        AuthorizationKind::ApiKey => "ApiKeyAuthParameters",
        AuthorizationKind::Basic => "BasicAuthParameters",
        AuthorizationKind::OauthClientCredentials => "OAuthParameters",
    };
    EventsError::Validation(format!("{name} must be given in full for AuthorizationType {}.", kind.as_str()))
}

fn refuse_others(kind: AuthorizationKind, basic: bool, oauth: bool, api_key: bool) -> Result<(), EventsError> {
    let is_other = match kind {
        AuthorizationKind::ApiKey => basic || oauth,
        AuthorizationKind::Basic => api_key || oauth,
        AuthorizationKind::OauthClientCredentials => basic || api_key,
    };
    if is_other {
        let message = format!("Only the parameters of AuthorizationType {} may be given.", kind.as_str());
        return Err(EventsError::Validation(message));
    }
    Ok(())
}

fn additions(parameters: Option<wire::ConnectionHttpParameters>) -> Additions {
    let parameters = parameters.unwrap_or_default();
    let parameter = |key: Option<String>, value: Option<String>, is_secret: Option<bool>| Parameter {
        key: key.unwrap_or_default(),
        value: Hidden::new(value.unwrap_or_default()),
        // What nobody said may be shown is not.
        is_secret: is_secret.unwrap_or(true),
    };
    let headers = parameters.header_parameters.unwrap_or_default().into_iter();
    let query = parameters.query_string_parameters.unwrap_or_default().into_iter();
    let body = parameters.body_parameters.unwrap_or_default().into_iter();
    Additions {
        headers: headers.map(|header| parameter(header.key, header.value, header.is_value_secret)).collect(),
        query: query.map(|query| parameter(query.key, query.value, query.is_value_secret)).collect(),
        body: body.map(|body| parameter(body.key, body.value, body.is_value_secret)).collect(),
    }
}

/// Headers that could not be sent are refused here, rather than at each delivery.
fn check(held: &Held) -> Result<(), EventsError> {
    let mut headers: Vec<(&str, &str)> =
        held.additions.headers.iter().map(|header| (header.key.as_str(), header.value.expose())).collect();
    match &held.authorization {
        Authorization::ApiKey { name, value } => headers.push((name, value.expose())),
        Authorization::OAuth(oauth) => {
            headers.extend(oauth.additions.headers.iter().map(|header| (header.key.as_str(), header.value.expose())));
        }
        Authorization::Basic { .. } => {}
    }
    for (name, value) in headers {
        let is_name = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
        if !is_name || http::HeaderValue::from_str(value).is_err() {
            return Err(EventsError::Validation(format!("{name:?} cannot be sent as a header with its value.")));
        }
    }
    Ok(())
}
