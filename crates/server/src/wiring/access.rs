use std::sync::Arc;

use opentrail_identity::{AccessRequest, Context, Decision, Directory, KeyError, Policy, PolicyUse};
use opentrail_model::AccountId;
use opentrail_objects::{Access, Denied, NoSecret, S3Call};
use opentrail_runtime::Clock;

/// Who may do what with the embedded store: identity policies and bucket policies together.
#[derive(Debug)]
pub(crate) struct StoreAccess {
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Access for StoreAccess {
    fn secret(&self, access_key_id: &str, session_token: Option<&str>) -> Result<String, NoSecret> {
        match self.directory.find_key(access_key_id, session_token, self.clock.now()) {
            Ok(found) => Ok(found.secret.expose().to_owned()),
            Err(KeyError::TokenExpired) => Err(NoSecret::ExpiredToken),
            // A token that came with a permanent key is told so too.
            Err(_) if session_token.is_some() => Err(NoSecret::WrongToken),
            Err(_) => Err(NoSecret::UnknownKey),
        }
    }

    fn check(&self, call: &S3Call<'_>) -> Result<AccountId, Denied> {
        let denied = |message: String| Denied { message };
        let key = call.access_key_id.as_deref().ok_or_else(|| denied("Access Denied".into()))?;
        let principal = self
            .directory
            .find_key(key, call.session_token.as_deref(), self.clock.now())
            .map_err(|_| denied("Access Denied".into()))?
            .principal;
        let resource = match (&call.resource, call.bucket, call.key) {
            (Some(resource), _, _) => resource.clone(),
            (None, Some(bucket), Some(key)) => format!("arn:aws:s3:::{bucket}/{key}"),
            (None, Some(bucket), None) => format!("arn:aws:s3:::{bucket}"),
            (None, None, _) => "*".to_owned(),
        };
        let mut context = Context::new();
        for (key, value) in &call.context {
            context.insert(key, value.as_str());
        }
        // A policy that cannot be read denies: whoever wrote it meant to restrict something.
        let policy = match call.bucket_policy.map(|text| Policy::parse(text, PolicyUse::Resource)) {
            None => None,
            Some(Ok(policy)) => Some(policy),
            Some(Err(_)) => return Err(denied("Access Denied".into())),
        };
        let request = AccessRequest {
            action: call.action,
            resource: &resource,
            context: &context,
            resource_policy: policy.as_ref(),
            resource_account: call.bucket_owner,
        };
        match self.directory.authorize(&principal, &request) {
            Decision::Allowed => Ok(principal.account),
            decision => Err(denied(decision.message(&principal, call.action, &resource, true))),
        }
    }
}
