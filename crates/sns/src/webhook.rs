//! Deliveries by HTTP. (Developer Guide, "Amazon SNS message and JSON formats": HTTP/HTTPS headers; "Amazon SNS message
//! delivery retries".)

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use opentrail_outbound::Outbound;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::delivery_policy;
use crate::message::{Kind, Message};
use crate::outcome::Outcome;
use crate::subscription::Subscription;

/// Posts a message's body to a subscription's endpoint.
pub(crate) async fn post(
    outbound: &Outbound,
    subscription: &Subscription,
    message: &Message,
    content_type: Option<&str>,
    body: String,
) -> Outcome {
    let request = match request(subscription, message, content_type, body) {
        Some(request) => request,
        None => return Outcome::Refused("the endpoint is no usable URL".to_owned()),
    };
    match outbound.send(request).await {
        Ok(answer) => judge(answer.status),
        Err(error) if error.is_retryable() => Outcome::Failed(error.to_string()),
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

/// What a status means: 1xx, 5xx and 429 are tried again; other failures are the endpoint's last word. A redirection is
/// one of those: who confirmed the address did not confirm another.
fn judge(status: StatusCode) -> Outcome {
    if status.is_success() {
        Outcome::Delivered
    } else if status.is_server_error() || status.is_informational() || status == StatusCode::TOO_MANY_REQUESTS {
        Outcome::Failed(format!("status {status}"))
    } else {
        Outcome::Refused(format!("status {status}"))
    }
}

fn request(
    subscription: &Subscription,
    message: &Message,
    content_type: Option<&str>,
    body: String,
) -> Option<Request<Bytes>> {
    let (url, authorization) = without_credentials(&subscription.endpoint.address)?;
    let content_type = content_type.unwrap_or(delivery_policy::CONTENT_TYPE);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(USER_AGENT, "Amazon Simple Notification Service Agent")
        .header(CONTENT_TYPE, content_type)
        .header("x-amz-sns-message-type", message.kind.as_str())
        .header("x-amz-sns-message-id", message.id.to_string())
        .header("x-amz-sns-topic-arn", message.topic.to_string());
    if !matches!(message.kind, Kind::SubscriptionConfirmation { .. }) {
        request = request.header("x-amz-sns-subscription-arn", subscription.arn.to_string());
    }
    if subscription.settings.raw && message.kind == Kind::Notification {
        request = request.header("x-amz-sns-rawdelivery", "true");
    }
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(Bytes::from(body)).ok()
}

/// The URL without user and password, and those as a header. (Developer Guide, "HTTP/HTTPS endpoints": basic
/// authentication.)
pub(crate) fn without_credentials(address: &str) -> Option<(String, Option<HeaderValue>)> {
    let mut url = Url::parse(address).ok()?;
    if url.username().is_empty() && url.password().is_none() {
        return Some((url.into(), None));
    }
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let mut pair = decoded(url.username());
    pair.push(b':');
    pair.extend(decoded(url.password().unwrap_or_default()));
    let mut header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    header.set_sensitive(true);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some((url.into(), Some(header)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_the_guide_says() {
        let judged = |status: u16| judge(StatusCode::from_u16(status).unwrap());
        for status in [200, 201, 204] {
            assert_eq!(judged(status), Outcome::Delivered);
        }
        for status in [100, 101, 429, 500, 503, 599] {
            assert!(matches!(judged(status), Outcome::Failed(_)), "{status}");
        }
        for status in [301, 307, 400, 403, 404, 410] {
            assert!(matches!(judged(status), Outcome::Refused(_)), "{status}");
        }
    }

    #[test]
    fn credentials_travel_in_a_header() {
        let (url, header) = without_credentials("https://us%40er:p%3Aw@example.com/a?b").unwrap();
        assert_eq!(
            (url.as_str(), header.unwrap().to_str().unwrap()),
            ("https://example.com/a?b", "Basic dXNAZXI6cDp3")
        );
        assert_eq!(without_credentials("http://example.com").unwrap(), ("http://example.com/".to_owned(), None));
    }
}
