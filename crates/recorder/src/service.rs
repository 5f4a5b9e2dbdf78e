//! Which service a call is for and which protocol it speaks.

use http::{HeaderMap, Method, Uri};
use opentrail_model::Region;

use crate::credential::{Credential, credential};
use crate::exchange::Endpoint;
use crate::generated::json_services::{JSON_SERVICES, JsonService};

/// How a call says what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol<'a> {
    /// S3's own: method, path, query and headers.
    S3,
    /// JSON 1.0 or 1.1: the operation is in `X-Amz-Target`.
    Json {
        /// That header.
        target: &'a str,
    },
    /// The query protocol: a form with `Action`.
    Query,
    /// RPC v2 in CBOR: the operation is in the path, everything else in two documents.
    Cbor {
        /// The service's name in the model, which is what stands before the dot of an `X-Amz-Target`.
        shape: &'a str,
        /// The operation.
        operation: &'a str,
    },
    /// Anything else over paths: restJson, restXml.
    Rest,
}

/// A call told apart.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) protocol: Protocol<'a>,
    /// The credential that it names, if any.
    pub(crate) credential: Option<Credential>,
    /// The service as credential scopes spell it.
    pub(crate) service: String,
    pub(crate) region: Region,
}

/// Tells a call by its target, else by the signature's scope, else by the endpoint's hint, else takes it for S3.
pub(crate) fn identify<'a>(method: &Method, uri: &'a Uri, headers: &'a HeaderMap, endpoint: &Endpoint) -> Call<'a> {
    let credential = credential(headers, uri);
    let scope = |part: fn(&Credential) -> &Option<String>| credential.as_ref().and_then(|c| part(c).clone());
    let scoped = scope(|c| &c.service).filter(|service| is_service_name(service));
    let region = scope(|c| &c.region).and_then(|region| region.parse().ok()).unwrap_or_else(|| endpoint.region.clone());
    let hinted = || endpoint.service.clone().unwrap_or_else(|| "s3".to_owned());
    let form = is_form(headers);

    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).filter(|t| !t.is_empty());
    let cbor = rpc_v2(method, uri, headers);
    let (protocol, service) = match (target, scoped) {
        (None, scoped) if cbor.is_some() && !scoped.as_deref().is_some_and(is_s3) => {
            let (shape, operation) = cbor.unwrap_or_default();
            (Protocol::Cbor { shape, operation }, scoped.unwrap_or_else(hinted))
        }
        (Some(target), scoped) if *method == Method::POST => (Protocol::Json { target }, scoped.unwrap_or_else(hinted)),
        (_, Some(service)) if is_s3(&service) => (Protocol::S3, service),
        (_, Some(service)) if form || names_action(uri) => (Protocol::Query, service),
        (_, Some(service)) => (Protocol::Rest, service),
        // Unsigned: only AssumeRoleWithSAML and the like come as forms to the root.
        (_, None) if form && *method == Method::POST && uri.path() == "/" => {
            let service = Some(hinted()).filter(|service| !is_s3(service)).unwrap_or_else(|| "sts".to_owned());
            (Protocol::Query, service)
        }
        (_, None) if is_s3(&hinted()) => (Protocol::S3, hinted()),
        (_, None) if form || names_action(uri) => (Protocol::Query, hinted()),
        (_, None) => (Protocol::Rest, hinted()),
    };
    Call { protocol, credential, service, region }
}

/// The service and the operation of a call in Smithy's RPC v2: `POST …/service/<Service>/operation/<Operation>` with
/// the header that says so. (Smithy 2.0, "Smithy RPC v2 CBOR protocol".)
fn rpc_v2<'a>(method: &Method, uri: &'a Uri, headers: &HeaderMap) -> Option<(&'a str, &'a str)> {
    if *method != Method::POST || headers.get("smithy-protocol")?.as_bytes() != b"rpc-v2-cbor" {
        return None;
    }
    let mut parts = uri.path().rsplit('/');
    let (operation, literal) = (parts.next()?, parts.next()?);
    let (shape, service) = (parts.next()?, parts.next()?);
    let named = is_shape_name(operation) && is_shape_name(shape);
    (literal == "operation" && service == "service" && named).then_some((shape, operation))
}

fn is_shape_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The service of a shape's name.
pub(crate) fn service_of_shape(shape: &str) -> Option<&'static JsonService> {
    let last = |service: &&JsonService| service.target_prefix.rsplit('.').next() == Some(shape);
    JSON_SERVICES.iter().find(last)
}

/// The JSON service behind a target: what stands before its last dot.
pub(crate) fn json_service(target: &str) -> Option<&'static JsonService> {
    let (prefix, _) = target.rsplit_once('.')?;
    // Clients older than the model's full Java name still send this one.
    let prefix =
        if prefix == "CloudTrail_20131101" { "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101" } else { prefix };
    let found = JSON_SERVICES.binary_search_by(|service| service.target_prefix.cmp(prefix)).ok()?;
    Some(&JSON_SERVICES[found])
}

/// `eventSource` of a service by the name in credential scopes.
pub(crate) fn event_source(service: &str) -> String {
    match JSON_SERVICES.iter().find(|known| known.signing_name == service) {
        Some(known) => known.event_source.to_owned(),
        None if is_s3(service) => "s3.amazonaws.com".to_owned(),
        None => format!("{service}.amazonaws.com"),
    }
}

fn is_s3(service: &str) -> bool {
    matches!(service, "s3" | "s3express" | "s3-outposts" | "s3-object-lambda")
}

/// Scopes are not checked by us, so nothing odd may get into `eventSource`.
fn is_service_name(service: &str) -> bool {
    (1..=64).contains(&service.len())
        && service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}

fn is_form(headers: &HeaderMap) -> bool {
    let form = b"application/x-www-form-urlencoded";
    headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..form.len()))
        .is_some_and(|value| value.eq_ignore_ascii_case(form))
}

fn names_action(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("Action=")))
}
