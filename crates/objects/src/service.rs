//! The store as an HTTP service.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use opentrail_runtime::{Random, SystemRandom};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{DomainError, MultiDomain};
use s3s::path::S3Path;
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3Error, S3ErrorCode, S3Result, StdError};

use crate::Store;
use crate::access::{Access, CONDITION_HEADERS, CONDITION_QUERIES, NoSecret, S3Call, action_of, action_on_version};
use crate::announced::Announced;
use crate::arriving::Arriving;
use crate::kept_alive::kept_alive;
use crate::s3::{Caller, Objects};
use crate::signing::{Signer, hoisted, inspect, query_value};

/// Put into a request's extensions, gives the id by which the caller knows the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Put into a request's extensions, adds to what policies can ask: `aws:SourceIp`, `aws:SecureTransport` …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionKeys(pub BTreeMap<String, String>);

/// How long a client may send nothing in the middle of a body (a choice; S3's own limit is about 20 seconds).
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers S3 requests. Cheap to clone; also a [`tower::Service`].
#[derive(Clone)]
pub struct S3Service {
    inner: s3s::service::S3Service,
    patience: Duration,
}

/// Serves `store` to whom `access` allows.
///
/// Buckets created without a location are in the Region that the request is signed for. `domains` are the names below
/// which a bucket may be part of the host name (`bucket.s3.example.com`), besides path style, which always works with
/// an address as the host and with the domains themselves.
///
/// # Errors
/// When a domain is not a host name.
pub fn service(store: Store, access: Arc<dyn Access>, domains: &[String]) -> Result<S3Service, DomainError> {
    let mut builder = S3ServiceBuilder::new(Objects::new(store.clone(), Arc::clone(&access)));
    builder.set_auth(Secrets { access: Arc::clone(&access) });
    builder.set_access(Gate { store, access });
    if !domains.is_empty() {
        builder.set_host(MultiDomain::new(domains)?);
    }
    Ok(S3Service { inner: builder.build(), patience: PATIENCE })
}

tokio::task_local! {
    /// Who signed the request that this task is answering; `s3s` asks for secrets by access key alone.
    static SIGNER: Signer;
}

impl S3Service {
    /// The same, giving up a client that sends nothing for `patience` in the middle of a body; 30 seconds if not set.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Answers one request.
    ///
    /// # Cancellation
    /// Dropping it leaves a write done or undone, never half done.
    pub async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        StdError: From<B::Error>,
    {
        let completes = *request.method() == Method::POST
            && query_value(request.uri().query().unwrap_or_default(), "uploadId").is_some();
        let id = request
            .extensions()
            .get::<RequestId>()
            .cloned()
            .unwrap_or_else(|| RequestId(SystemRandom.text(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", 16)));
        if !completes {
            return self.answer(request, &id).await;
        }
        let (service, of_answer) = (self.clone(), id.clone());
        let answered = kept_alive(Box::pin(async move { service.answer(request, &of_answer).await })).await;
        with_ids(answered, &id.0)
    }

    async fn answer<B>(&self, request: Request<B>, id: &RequestId) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        StdError: From<B::Error>,
    {
        let (mut head, body) = request.into_parts();
        let (method, resource) = (head.method.clone(), head.uri.path().to_owned());
        let response = match admit(&head) {
            Err(error) => error.to_http_response(),
            Ok((signer, announced)) => {
                let hoisted = hoisted(head.uri.query().unwrap_or_default());
                hoisted.into_iter().for_each(|(name, value)| drop(head.headers.insert(name, value)));
                head.extensions.insert(signer.clone());
                let (body, fault) = Arriving::new(body, &head.headers, announced, self.patience);
                let request = Request::from_parts(head, body.into_body());
                match (SIGNER.scope(signer, self.inner.call(request)).await, fault.get()) {
                    // Whatever was made of a body that did not arrive, this is what was wrong.
                    (_, Some(fault)) => {
                        metrics::counter!("opentrail_objects_broken_bodies_total").increment(1);
                        fault.to_s3().to_http_response()
                    }
                    (Ok(response), None) => Ok(response),
                    // The answer could not be written down; there is no other error here.
                    (Err(error), None) => {
                        S3Error::with_source(S3ErrorCode::InternalError, error.into()).to_http_response()
                    }
                }
            }
        };
        let response = response.unwrap_or_else(|error| {
            tracing::error!(error = %error, "an S3 error could not be written as XML");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        });
        finish(response, &method, &resource, &id.0)
    }
}

impl<B> tower::Service<Request<B>> for S3Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    StdError: From<B::Error>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(S3Service::call(&service, request).await) })
    }
}

impl std::fmt::Debug for S3Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Service").finish_non_exhaustive()
    }
}

/// Who signed a request and what its head says of a document, before its body is looked at.
fn admit(head: &http::request::Parts) -> S3Result<(Signer, Option<Announced>)> {
    if head.method == Method::OPTIONS {
        // What S3 answers for a bucket without a CORS configuration, which is every bucket here.
        let mut error = S3Error::with_message(
            S3ErrorCode::Custom("AccessForbidden".into()),
            "CORSResponse: CORS is not enabled for this bucket.",
        );
        error.set_status_code(StatusCode::FORBIDDEN);
        return Err(error);
    }
    let content_type = head.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if head.method == Method::POST && content_type.is_some_and(|value| value.starts_with("multipart/form-data")) {
        let message = "Uploads with HTML forms are not available; use PUT or a presigned URL.";
        return Err(S3Error::with_message(S3ErrorCode::NotImplemented, message));
    }
    Ok((inspect(head)?, Announced::of(head)?))
}

const HOST_ID: &str = "b3BlbnRyYWls";

fn with_ids(mut response: Response<Body>, id: &str) -> Response<Body> {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert("x-amz-request-id", value);
    }
    headers.insert("x-amz-id-2", HeaderValue::from_static(HOST_ID));
    response
}

/// Adds what every answer of S3 has: the request's ids, and in errors a message, the resource and the ids again.
fn finish(mut response: Response<Body>, method: &Method, resource: &str, id: &str) -> Response<Body> {
    response = with_ids(response, id);
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() && status != StatusCode::NOT_MODIFIED {
        return response;
    }
    let text = response.body().bytes().and_then(|bytes| String::from_utf8(bytes.into()).ok()).unwrap_or_default();
    if *method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
        *response.body_mut() = Body::empty();
    } else if let Some(start) = text.strip_suffix("</Error>") {
        let mut text = start.to_owned();
        if !text.contains("<Message>") {
            let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
            text.push_str(&format!("<Message>{}</Message>", default_message(code.unwrap_or_default())));
        }
        let resource = resource.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text.push_str(&format!(
            "<Resource>{resource}</Resource><RequestId>{id}</RequestId><HostId>{HOST_ID}</HostId></Error>"
        ));
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
        response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        *response.body_mut() = Body::from(text);
    }
    response
}

/// S3's messages for errors that come without one. (S3 API Reference, "Error responses".)
fn default_message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and signing \
             method."
        }
        "InvalidURI" => "Couldn't parse the specified URI.",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "KeyTooLongError" => "Your key is too long",
        "IncompleteBody" => "You did not provide the number of bytes specified by the Content-Length HTTP header.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against our published schema",
        "InternalError" => "We encountered an internal error. Please try again.",
        "NotImplemented" => "This operation is not available.",
        _ => "The request cannot be answered.",
    }
}

/// Gives `s3s` the secrets to verify signatures with.
struct Secrets {
    access: Arc<dyn Access>,
}

#[async_trait::async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let token = SIGNER.try_with(|signer| signer.session_token.clone()).ok().flatten();
        let (code, message) = match self.access.secret(access_key, token.as_deref()) {
            Ok(secret) => return Ok(SecretKey::from(secret)),
            Err(NoSecret::ExpiredToken) => (S3ErrorCode::ExpiredToken, "The provided token has expired."),
            Err(NoSecret::WrongToken) => {
                (S3ErrorCode::InvalidToken, "The provided token is malformed or otherwise invalid.")
            }
            Err(NoSecret::UnknownKey) => {
                (S3ErrorCode::InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
            }
        };
        Err(S3Error::with_message(code, message))
    }
}

/// Asks [`Access`] before an operation sees its request.
struct Gate {
    store: Store,
    access: Arc<dyn Access>,
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = cx.credentials() else {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied"));
        };
        let access_key_id = credentials.access_key.clone();
        let query = cx.uri().query().unwrap_or_default().to_owned();
        let header = |name: &str| cx.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut context: BTreeMap<String, String> = BTreeMap::new();
        for (name, key) in CONDITION_QUERIES {
            context.extend(query_value(&query, name).map(|value| (key.to_owned(), value)));
        }
        for (name, key) in CONDITION_HEADERS {
            context.extend(header(name).map(|value| (key.to_owned(), value)));
        }
        let (bucket, key) = match cx.s3_path() {
            S3Path::Root => (None, None),
            S3Path::Bucket { bucket } => (Some(bucket.to_string()), None),
            S3Path::Object { bucket, key } => (Some(bucket.to_string()), Some(key.to_string())),
        };
        let found = match &bucket {
            Some(bucket) => self.store.bucket(bucket).map_err(crate::s3::refused)?,
            None => None,
        };
        let expected_owner = header("x-amz-expected-bucket-owner");
        if let (Some(expected), Some(found)) = (expected_owner, &found)
            && expected != found.owner.to_string()
        {
            let message = "Access Denied: the bucket is not owned by the expected account";
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, message));
        }
        let version = query_value(&query, "versionId");
        let mut action = action_of(cx.s3_op().name());
        if let Some(version) = version {
            crate::versions::check_version_id(&version).map_err(crate::s3::refused)?;
            action = action.map(action_on_version);
        }
        let extensions = cx.extensions_mut();
        context.extend(extensions.get::<ConditionKeys>().cloned().unwrap_or_default().0);
        let session_token = extensions.get::<Signer>().and_then(|signer| signer.session_token.clone());
        let mut caller = Caller { account: None, access_key_id, session_token, context };
        let resource = (bucket.as_deref(), key.as_deref());
        match action {
            Some(action) => caller.account = Some(caller.ask(&*self.access, &self.store, action, resource)?),
            // Nothing that asks for itself, as DeleteObjects does, is for a bucket that can only be read.
            None if bucket.as_deref().is_some_and(|bucket| self.store.mounted(bucket).is_some()) => {
                return Err(S3Error::with_message(
                    S3ErrorCode::AccessDenied,
                    "Access Denied: the bucket can only be read",
                ));
            }
            None => {}
        }
        // Those who may not ask for an operation are not told what it lacks.
        let unavailable = crate::s3::require_available(cx.s3_op().name(), cx.headers(), &query);
        cx.extensions_mut().insert(caller);
        unavailable
    }
}

impl Caller {
    /// Whether the caller may do `action`; the caller's account if so.
    pub(crate) fn ask(
        &self,
        access: &dyn Access,
        store: &Store,
        action: &'static str,
        (bucket, key): (Option<&str>, Option<&str>),
    ) -> S3Result<opentrail_model::AccountId> {
        let found = match bucket {
            Some(bucket) => store.bucket(bucket).map_err(crate::s3::refused)?,
            None => None,
        };
        let (action, resource) = match bucket.and_then(|bucket| store.mounted(bucket)) {
            None => (action, None),
            Some(mount) => {
                let read_only = "Access Denied: the bucket can only be read";
                let denied = || S3Error::with_message(S3ErrorCode::AccessDenied, read_only);
                (mount.action_for(action).ok_or_else(denied)?, Some(mount.resource))
            }
        };
        let call = S3Call {
            access_key_id: Some(self.access_key_id.clone()),
            session_token: self.session_token.clone(),
            action,
            resource,
            bucket,
            key,
            bucket_owner: found.as_ref().map(|found| found.owner),
            bucket_policy: found.as_ref().and_then(|found| found.policy.as_deref()),
            context: self.context.clone(),
        };
        access.check(&call).map_err(|denied| S3Error::with_message(S3ErrorCode::AccessDenied, denied.message))
    }
}
