//! What nobody signs: the links in messages. (Developer Guide, "Confirm the subscription", "Unsubscribe", "Verifying the
//! signatures of Amazon SNS messages".)

use bytes::Bytes;
use http::{Response, StatusCode, header};
use opentrail_wire::query::{self, SNS_NAMESPACE};
use opentrail_wire::sigv4::QueryError;

use crate::arn::{SubscriptionArn, TopicArn};
use crate::changes::Proof;
use crate::error::SnsError;
use crate::links::{CERTIFICATE_PREFIX, CERTIFICATE_SUFFIX};
use crate::sns::Sns;

/// How long a certificate may be kept: it never changes.
const CACHE: &str = "public, max-age=86400";

/// The longest link that is looked at, in bytes.
const LONGEST: usize = 4096;

impl Sns {
    /// The answer to an unsigned GET, when it is one of the links in messages: a certificate
    /// (`/SimpleNotificationService-<id>.pem`), a confirmation or an end of a subscription (`/?Action=…`). `None` when
    /// the request is somebody else's.
    ///
    /// # Cancellation
    /// A change may be made and not answered.
    pub async fn unsigned(&self, path_and_query: &str, request_id: &str) -> Option<Response<Bytes>> {
        if path_and_query.len() > LONGEST {
            return None;
        }
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        if let Some(id) = path.strip_prefix(CERTIFICATE_PREFIX).and_then(|rest| rest.strip_suffix(CERTIFICATE_SUFFIX)) {
            return Some(self.certificate(id, request_id).await);
        }
        if path != "/" || query.is_empty() {
            return None;
        }
        let params = query::parse_form(query.as_bytes()).ok()?;
        let action = params.find("Action")?;
        // A presigned request is judged by its signature.
        if !matches!(action, "ConfirmSubscription" | "Unsubscribe") || params.find("X-Amz-Signature").is_some() {
            return None;
        }
        let done = match action {
            "ConfirmSubscription" => self.follow_confirmation(&params).await.map(Some),
            _ => self.follow_end(&params).await.map(|()| None),
        };
        metrics::counter!("opentrail_sns_links_total", "action" => action.to_owned(), "ok" => done.is_ok().to_string())
            .increment(1);
        Some(match done {
            Ok(result) => query::respond_xml(SNS_NAMESPACE, action, result.as_deref(), request_id),
            Err(error) => query::respond_error(SNS_NAMESPACE, &QueryError::from(error), request_id),
        })
    }

    async fn follow_confirmation(&self, params: &query::Params) -> Result<String, SnsError> {
        let topic: TopicArn = parsed(params, "TopicArn")?;
        let token = params.find("Token").ok_or_else(|| SnsError::parameter("Token", "it must be given"))?;
        let arn = self.0.confirm(&topic, token, Proof::Link, false).await?;
        let mut result = String::new();
        query::element(&mut result, "SubscriptionArn", &arn.to_string());
        Ok(result)
    }

    async fn follow_end(&self, params: &query::Params) -> Result<(), SnsError> {
        let arn: SubscriptionArn = parsed(params, "SubscriptionArn")?;
        self.0.unsubscribe(&arn, Proof::Link).await
    }

    async fn certificate(&self, id: &str, request_id: &str) -> Response<Bytes> {
        let named = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
        let found = if named { self.0.signing.certificate(id).await } else { Ok(None) };
        let (status, content_type, body) = match found {
            Ok(Some(pem)) => (StatusCode::OK, "application/x-pem-file", pem),
            Ok(None) => (StatusCode::NOT_FOUND, "text/plain", "There is no such certificate.\n".to_owned()),
            Err(error) => {
                tracing::error!(%error, "a certificate cannot be read");
                (StatusCode::SERVICE_UNAVAILABLE, "text/plain", "Try again later.\n".to_owned())
            }
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
        if status.is_success() {
            headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static(CACHE));
        }
        if let Ok(id) = header::HeaderValue::from_str(request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

fn parsed<T: std::str::FromStr>(params: &query::Params, name: &str) -> Result<T, SnsError> {
    let text = params.find(name).unwrap_or_default();
    text.parse().map_err(|_| SnsError::InvalidParameter(name.to_owned()))
}
