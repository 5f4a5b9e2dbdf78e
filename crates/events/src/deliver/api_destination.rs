//! API destinations: an HTTP request for each event.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use opentrail_outbound::Answer;

use super::failure::{DeliveryFailure, Retry};
use super::oauth::Tokens;
use super::request::request;
use crate::connection::{ApiDestination, Authorization, Connection};
use crate::error::EventsError;
use crate::rule::Target;
use crate::service::Events;

/// Sends the payload of an event to an API destination.
pub(super) async fn send(
    events: &Events,
    tokens: &Tokens,
    destination: &ApiDestination,
    target: &Target,
    payload: &Bytes,
) -> Result<(), DeliveryFailure> {
    let connection = connection(events, destination).await?;
    let held = connection.held(&events.ring).map_err(internal)?.ok_or_else(|| deauthorized(&connection))?;
    let token = match &held.authorization {
        Authorization::OAuth(oauth) => Some(tokens.token(&connection, oauth, &events.outbound, events.now()).await?),
        Authorization::ApiKey { .. } | Authorization::Basic { .. } => None,
    };
    let token = token.as_ref().map(|token| token.expose());
    let request = request(destination, &held, token, target.http.as_ref(), payload)?;
    let answer = events.outbound.send(request).await?;
    if is_unauthorized(answer.status) {
        tokens.forget(&connection);
    }
    judge(&answer)
}

async fn connection(events: &Events, destination: &ApiDestination) -> Result<Connection, DeliveryFailure> {
    let found = events.connection(&destination.connection_arn, destination.account, &destination.region).await;
    let missing = || DeliveryFailure::later("NO_RESOURCE", format!("{} does not exist", destination.connection_arn));
    found.map_err(internal)?.ok_or_else(missing)
}

/// It may be authorised again within the day.
fn deauthorized(connection: &Connection) -> DeliveryFailure {
    DeliveryFailure::later("NO_PERMISSIONS", format!("{} is deauthorized", connection.arn()))
}

fn internal(error: EventsError) -> DeliveryFailure {
    DeliveryFailure::later("INTERNAL_ERROR", error.to_string())
}

fn is_unauthorized(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED)
}

/// Which answers are tried again. (EventBridge User Guide, "API destinations as targets": 409, 429 and 5xx are, the
/// header `Retry-After` is heeded; 401 and 407, after which a token is fetched anew, and 408 are a choice of ours.)
fn judge(answer: &Answer) -> Result<(), DeliveryFailure> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    let message = format!("the endpoint answered {}", status.as_u16());
    let code = match status {
        _ if is_unauthorized(status) => "NO_PERMISSIONS",
        StatusCode::TOO_MANY_REQUESTS => "THROTTLING",
        StatusCode::REQUEST_TIMEOUT => "TIMEOUT",
        _ => "ERROR_FROM_TARGET",
    };
    let is_retried = status.is_server_error()
        || is_unauthorized(status)
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS);
    if !is_retried {
        return Err(DeliveryFailure::never(code, message));
    }
    let asked = answer.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let retry = asked.map_or(Retry::Later, |seconds| Retry::After(Duration::from_secs(seconds)));
    Err(DeliveryFailure { retry, code, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: Option<&str>) -> Option<Retry> {
        let mut headers = http::HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", value.parse().unwrap());
        }
        let answer =
            Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new(), is_cut: false };
        judge(&answer).err().map(|failure| failure.retry)
    }

    #[test]
    fn the_answers_status_says_whether_it_is_tried_again() {
        for status in [200, 202, 204] {
            assert_eq!(judged(status, None), None);
        }
        for status in [401, 407, 408, 409, 429, 500, 503] {
            assert_eq!(judged(status, None), Some(Retry::Later), "{status}");
        }
        for status in [301, 302, 400, 403, 404, 410, 413, 422] {
            assert_eq!(judged(status, None), Some(Retry::Never), "{status}");
        }
        assert_eq!(judged(503, Some("120")), Some(Retry::After(Duration::from_secs(120))));
        assert_eq!(judged(429, Some("-1")), Some(Retry::Later));
    }
}
