use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use opentrail_gateway::{EndpointCall, EndpointPolicy};
use opentrail_identity::{AccessRequest, Context, Directory, Policy, Principal};
use opentrail_model::{AccountId, Region};
use opentrail_recorder::Credential;
use opentrail_runtime::Clock;

/// The policy of a gateway that is a VPC endpoint.
pub(crate) struct GatewayPolicy {
    pub(crate) policy: Policy,
    pub(crate) endpoint_id: String,
    pub(crate) owner: AccountId,
    /// Whose the resources behind the gateway are.
    pub(crate) account: AccountId,
    /// The Region of calls that name none.
    pub(crate) region: Region,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What the caller reads where no policy can be quoted.
const DENIED: &str = "Access Denied";

impl EndpointPolicy for GatewayPolicy {
    fn judge(&self, call: &EndpointCall<'_>) -> Result<(), String> {
        let Some(asks) = &call.asks else { return Err(DENIED.to_owned()) };
        let principal = call.credential.as_ref().and_then(|named| self.principal(named));
        let context = self.context(call);
        for ask in asks {
            let request = AccessRequest {
                action: &ask.action,
                resource: &ask.resource,
                context: &context,
                resource_policy: None,
                resource_account: Some(self.account),
            };
            let decision = self.directory.authorize_by_endpoint(&self.policy, principal.as_ref(), &request);
            if !decision.is_allowed() {
                let told = |principal| decision.message(principal, &ask.action, &ask.resource, ask.resource != "*");
                return Err(principal.as_ref().map_or_else(|| DENIED.to_owned(), told));
            }
        }
        Ok(())
    }
}

impl GatewayPolicy {
    /// Whose key the request names. Nobody has checked its signature yet: the upstream refuses a call that passes here
    /// under a false name.
    fn principal(&self, named: &Credential) -> Option<Principal> {
        let session = named.session_token.as_deref().and_then(|token| {
            Some(self.directory.find_key(&named.access_key_id, Some(token), self.clock.now()).ok()?.principal)
        });
        session.or_else(|| self.directory.identity_of_key(&named.access_key_id))
    }

    /// The condition keys of a call. (IAM User Guide, "AWS global condition context keys"; Service Authorization
    /// Reference, "Condition keys for Amazon S3".) `aws:SourceIp` is the client's address, as `aws:VpcSourceIp` is.
    fn context(&self, call: &EndpointCall<'_>) -> Context {
        let (head, address) = (call.head, call.peer.address.ip().to_canonical().to_string());
        let now = self.clock.now();
        let region = call.credential.as_ref().and_then(|named| named.region.clone());
        let mut context = Context::new()
            .with("aws:SourceVpce", self.endpoint_id.as_str())
            .with("aws:VpceAccount", self.owner.to_string())
            .with("aws:SourceIp", address.as_str())
            .with("aws:VpcSourceIp", address)
            .with("aws:SecureTransport", call.peer.tls.is_some().to_string())
            .with("aws:ResourceAccount", self.account.to_string())
            .with("aws:RequestedRegion", region.unwrap_or_else(|| self.region.to_string()))
            .with("aws:CurrentTime", now.to_iso())
            .with("aws:EpochTime", (now.as_millis() / 1000).to_string());
        for (header, key) in HEADERS {
            if let Some(value) = text(&head.headers, header) {
                context.insert(key, value);
            }
        }
        for part in head.uri.query().unwrap_or_default().split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if let Some((_, key)) = QUERIES.iter().find(|(known, _)| *known == name) {
                let value = value.replace('+', " ");
                context.insert(key, percent_encoding::percent_decode_str(&value).decode_utf8_lossy());
            }
        }
        context
    }
}

const HEADERS: [(&str, &str); 9] = [
    ("user-agent", "aws:UserAgent"),
    ("referer", "aws:Referer"),
    ("x-amz-acl", "s3:x-amz-acl"),
    ("x-amz-content-sha256", "s3:x-amz-content-sha256"),
    ("x-amz-copy-source", "s3:x-amz-copy-source"),
    ("x-amz-metadata-directive", "s3:x-amz-metadata-directive"),
    ("x-amz-server-side-encryption", "s3:x-amz-server-side-encryption"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-server-side-encryption-aws-kms-key-id"),
    ("x-amz-storage-class", "s3:x-amz-storage-class"),
];

const QUERIES: [(&str, &str); 4] = [
    ("prefix", "s3:prefix"),
    ("delimiter", "s3:delimiter"),
    ("max-keys", "s3:max-keys"),
    ("versionId", "s3:VersionId"),
];

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

impl fmt::Debug for GatewayPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayPolicy").field("endpoint_id", &self.endpoint_id).finish_non_exhaustive()
    }
}
