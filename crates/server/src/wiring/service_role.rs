use std::time::Duration;

use opentrail_identity::{Context, Directory, Principal, PrincipalKind, SessionInfo};
use opentrail_model::{AccountId, Timestamp};

/// A session that a service takes lasts an hour.
const LENGTH: Duration = Duration::from_secs(60 * 60);

/// For what a service takes a role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnBehalf<'a> {
    /// The service, e.g. `cloudtrail.amazonaws.com`.
    pub(crate) service: &'a str,
    /// `aws:SourceArn`: the resource for which it does.
    pub(crate) source_arn: &'a str,
    /// `aws:SourceAccount`: whose that is.
    pub(crate) source_account: AccountId,
    /// What the session is called.
    pub(crate) session: &'a str,
}

/// The service's session of the role of this ARN; `None` when there is no such role, its account is closed, or its trust
/// policy does not let the service take it for that. (IAM User Guide, "The confused deputy problem".)
pub(crate) fn take_role(
    directory: &Directory,
    role: &str,
    on_behalf: OnBehalf<'_>,
    now: Timestamp,
) -> Option<Principal> {
    let role = directory.role(role)?;
    let open = directory.account(role.account).is_some_and(|account| !account.is_closed());
    let context = Context::new()
        .with("aws:SourceArn", on_behalf.source_arn)
        .with("aws:SourceAccount", on_behalf.source_account.to_string());
    (open && role.trusts_service(on_behalf.service, &context)).then(|| Principal {
        account: role.account,
        account_alias: None,
        kind: PrincipalKind::AssumedRole {
            role_name: role.name.clone(),
            role_path: role.path.clone(),
            role_id: role.id.clone(),
            session_name: on_behalf.session.to_owned(),
        },
        access_key_id: String::new(),
        session: Some(SessionInfo {
            issued: now,
            expires: now + LENGTH,
            mfa: false,
            source_identity: None,
            policy: None,
        }),
    })
}
