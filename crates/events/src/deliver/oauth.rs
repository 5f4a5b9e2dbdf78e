//! Bearer tokens of connections: fetched when needed, kept until shortly before they end.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use opentrail_model::Timestamp;
use opentrail_outbound::Outbound;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::failure::DeliveryFailure;
use super::request::{add_headers, basic, with_query};
use crate::connection::{Connection, Hidden, OAuth};

/// A token is not used in the last minute of its life.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token is kept whose server does not say: a choice of ours.
const UNSAID: u64 = 600;
/// Connections whose tokens are kept.
const MOST: usize = 10_000;

/// The tokens of all connections.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    by_connection: Mutex<HashMap<String, Arc<Slot>>>,
}

/// The token of one connection, and who fetches it: one at a time.
type Slot = tokio::sync::Mutex<Option<Token>>;

struct Token {
    value: Hidden,
    /// When it must not be used any more.
    until: Timestamp,
    /// Of the connection: a changed one has another token.
    modified: Timestamp,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("until", &self.until).finish_non_exhaustive()
    }
}

/// What a token endpoint answers. (RFC 6749, section 5.1.)
#[derive(Deserialize)]
struct Granted {
    access_token: Hidden,
    expires_in: Option<u64>,
}

impl Tokens {
    /// The connection's token, fetched if there is none that is good.
    pub(super) async fn token(
        &self,
        connection: &Connection,
        oauth: &OAuth,
        outbound: &Outbound,
        now: Timestamp,
    ) -> Result<Hidden, DeliveryFailure> {
        let slot = self.slot(&connection.arn());
        let mut slot = slot.lock().await;
        if let Some(token) = &*slot
            && token.modified == connection.modified
            && now < token.until
        {
            return Ok(token.value.clone());
        }
        let granted = fetch(oauth, outbound).await?;
        let lasts = Duration::from_secs(granted.expires_in.unwrap_or(UNSAID).min(86_400)).saturating_sub(MARGIN);
        let value = granted.access_token;
        *slot = Some(Token { value: value.clone(), until: now + lasts, modified: connection.modified });
        Ok(value)
    }

    /// The endpoint did not take the connection's token: the next request fetches another.
    pub(super) fn forget(&self, connection: &Connection) {
        self.by_connection.lock().remove(&connection.arn());
    }

    fn slot(&self, arn: &str) -> Arc<Slot> {
        let mut slots = self.by_connection.lock();
        if slots.len() >= MOST && !slots.contains_key(arn) {
            // They are fetched again.
            slots.clear();
        }
        Arc::clone(slots.entry(arn.to_owned()).or_default())
    }
}

/// Asks for a token: grant type `client_credentials`, the client's id and secret by Basic authentication. (RFC 6749,
/// sections 2.3.1 and 4.4.) What the connection adds for this may say otherwise, and may ask for a body in JSON.
async fn fetch(oauth: &OAuth, outbound: &Outbound) -> Result<Granted, DeliveryFailure> {
    let request = token_request(oauth)?;
    let answer = outbound.send(request).await?;
    if !answer.status.is_success() {
        // The answer may hold secrets: its status must do.
        let message = format!("the authorization endpoint answered {}", answer.status.as_u16());
        return Err(DeliveryFailure::later("NO_PERMISSIONS", message));
    }
    serde_json::from_slice(&answer.body).map_err(|_| {
        DeliveryFailure::later("NO_PERMISSIONS", "the authorization endpoint's answer has no access_token")
    })
}

fn token_request(oauth: &OAuth) -> Result<Request<Bytes>, DeliveryFailure> {
    let invalid = |error: http::Error| DeliveryFailure::never("INVALID_PARAMETER", error.to_string());
    let method = Method::from_bytes(oauth.method.as_bytes())
        .map_err(|error| DeliveryFailure::never("INVALID_PARAMETER", error.to_string()))?;
    let added = &oauth.additions;
    let mut fields: Vec<(&str, &str)> =
        added.body.iter().map(|field| (field.key.as_str(), field.value.expose())).collect();
    let query = added.query.iter().map(|pair| (pair.key.as_str(), pair.value.expose()));
    let mut url = with_query(&oauth.endpoint, query);
    let has_grant = fields.iter().any(|(key, _)| *key == "grant_type");
    if !has_grant && !added.query.iter().any(|pair| pair.key == "grant_type") {
        fields.push(("grant_type", "client_credentials"));
    }
    let is_json = added
        .headers
        .iter()
        .any(|header| header.key.eq_ignore_ascii_case("content-type") && header.value.expose().contains("json"));
    let body = if method == Method::GET {
        url = with_query(&url, fields.iter().copied());
        Bytes::new()
    } else if is_json {
        let object: Map<String, Value> =
            fields.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
        Value::Object(object).to_string().into()
    } else {
        with_query("", fields.iter().copied()).trim_start_matches('?').to_owned().into()
    };
    let mut request = Request::builder().method(method).uri(url).body(body).map_err(invalid)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    super::request::set(headers, AUTHORIZATION.as_str(), &basic(&oauth.client_id, oauth.client_secret.expose()))?;
    add_headers(headers, added)?;
    Ok(request)
}
