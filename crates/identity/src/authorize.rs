//! How several policies decide together. (IAM User Guide, "Policy evaluation logic".)

use std::fmt;

use opentrail_model::AccountId;

use crate::context::{Context, Facts};
use crate::identities::{Attached, Boundary};
use crate::policy::{Naming, Policy, Question, Requester, Verdict};
use crate::principal::{Principal, PrincipalKind};

/// What someone wants to do.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// `service:Operation`, e.g. `cloudtrail:CreateTrail`; case does not matter.
    pub action: &'a str,
    /// The ARN of the resource, or `*` for an action without one.
    pub resource: &'a str,
    /// The request's condition keys. Those about the caller are added.
    pub context: &'a Context,
    /// The resource's own policy, e.g. a bucket's.
    pub resource_policy: Option<&'a Policy>,
    /// Whose the resource is; `None` means the caller's own account.
    pub resource_account: Option<AccountId>,
}

/// Whether they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No: nothing allows it.
    ImplicitDeny {
        /// The kind of policy that would have had to.
        missing: PolicyKind,
    },
    /// No: a policy denies it, and no other can help that.
    ExplicitDeny {
        /// The kind of the policy that does.
        by: PolicyKind,
    },
}

/// Where a policy is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// To a user or role.
    IdentityBased,
    /// To a resource.
    ResourceBased,
    /// To a session.
    Session,
    /// To a user or role, as the bound of what its policies may give.
    PermissionsBoundary,
    /// To a VPC endpoint.
    VpcEndpoint,
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IdentityBased => "identity-based policy",
            Self::ResourceBased => "resource-based policy",
            Self::Session => "session policy",
            Self::PermissionsBoundary => "permissions boundary",
            Self::VpcEndpoint => "VPC endpoint policy",
        })
    }
}

impl Decision {
    /// Whether they may.
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }

    /// AWS's text for the refusal; `with_resource` for actions that have a resource-level form. Empty when allowed.
    /// (IAM User Guide, "Troubleshoot access denied error messages".)
    pub fn message(self, principal: &Principal, action: &str, resource: &str, with_resource: bool) -> String {
        let on = if with_resource { format!(" on resource: {resource}") } else { String::new() };
        let reason = match self {
            Self::Allowed => return String::new(),
            Self::ImplicitDeny { missing } => format!("because no {missing} allows the {action} action"),
            Self::ExplicitDeny { by } => {
                let article = if by == PolicyKind::IdentityBased { "an" } else { "a" };
                format!("with an explicit deny in {article} {by}")
            }
        };
        format!("User: {} is not authorized to perform: {action}{on} {reason}", principal.arn())
    }
}

/// Decides over `request` by `principal`, to whom `attached` is attached and who has the keys of `caller`.
pub(crate) fn decide(
    principal: &Principal,
    attached: &Attached<'_>,
    caller: &Context,
    request: &AccessRequest<'_>,
) -> Decision {
    let facts = Facts::new(caller, request.context);
    let action = request.action.to_ascii_lowercase();
    let requester = Requester::Identity(principal);
    let question = Question { action: &action, resource: request.resource, requester, facts: &facts };
    let session_policy = principal.session.as_ref().and_then(|session| session.policy.as_deref());
    let resource = request.resource_policy.map_or(Verdict::Silent, |policy| policy.verdict(&question));
    let session = session_policy.map(|policy| policy.verdict(&question));
    let identity = match principal.kind {
        PrincipalKind::Root | PrincipalKind::RootSession => Verdict::Allow(Naming::Principal),
        _ => identity_verdict(&attached.policies, &question),
    };
    let boundary = match attached.boundary {
        Boundary::None => Verdict::Allow(Naming::Principal),
        Boundary::Policy(policy) => policy.verdict(&question),
        Boundary::Missing => Verdict::Silent,
    };

    for (verdict, by) in [
        (identity, PolicyKind::IdentityBased),
        (resource, PolicyKind::ResourceBased),
        (boundary, PolicyKind::PermissionsBoundary),
        (session.unwrap_or(Verdict::Silent), PolicyKind::Session),
    ] {
        if verdict == Verdict::Deny {
            return Decision::ExplicitDeny { by };
        }
    }

    let by_identity = matches!(identity, Verdict::Allow(_));
    let by_resource = match resource {
        Verdict::Allow(naming) => Some(naming),
        Verdict::Silent | Verdict::Deny => None,
    };
    let missing = |missing| Decision::ImplicitDeny { missing };
    if request.resource_account.is_none_or(|owner| owner == principal.account) {
        // Named itself, a session is not held to its session policy's silence.
        if by_resource == Some(Naming::Session) {
            return Decision::Allowed;
        }
        let by_name = by_resource == Some(Naming::Principal);
        if !by_identity && !by_name {
            return missing(PolicyKind::IdentityBased);
        }
        // What a resource gives to a user by name lies outside the boundary; what it gives to a role does not.
        let is_user = matches!(principal.kind, PrincipalKind::User { .. } | PrincipalKind::UserSession { .. });
        if boundary == Verdict::Silent && !(by_name && is_user) {
            return missing(PolicyKind::PermissionsBoundary);
        }
    } else {
        if !by_identity {
            return missing(PolicyKind::IdentityBased);
        }
        if boundary == Verdict::Silent {
            return missing(PolicyKind::PermissionsBoundary);
        }
        if by_resource.is_none() {
            return missing(PolicyKind::ResourceBased);
        }
    }
    match session {
        Some(Verdict::Silent) => missing(PolicyKind::Session),
        _ => Decision::Allowed,
    }
}

/// Whether the resource's own policy allows what `principal` asks for, by itself or by its account.
pub(crate) fn is_allowed_by_resource(principal: &Principal, caller: &Context, request: &AccessRequest<'_>) -> bool {
    let facts = Facts::new(caller, request.context);
    let action = request.action.to_ascii_lowercase();
    let requester = Requester::Identity(principal);
    let question = Question { action: &action, resource: request.resource, requester, facts: &facts };
    request.resource_policy.is_some_and(|policy| matches!(policy.verdict(&question), Verdict::Allow(_)))
}

/// What the policy of a VPC endpoint says by itself: other policies decide behind it. However directly it names the caller,
/// it lets through.
pub(crate) fn decide_by_endpoint(
    policy: &Policy,
    requester: Requester<'_>,
    caller: &Context,
    request: &AccessRequest<'_>,
) -> Decision {
    let facts = Facts::new(caller, request.context);
    let action = request.action.to_ascii_lowercase();
    let question = Question { action: &action, resource: request.resource, requester, facts: &facts };
    match policy.verdict(&question) {
        Verdict::Allow(_) => Decision::Allowed,
        Verdict::Silent => Decision::ImplicitDeny { missing: PolicyKind::VpcEndpoint },
        Verdict::Deny => Decision::ExplicitDeny { by: PolicyKind::VpcEndpoint },
    }
}

fn identity_verdict(policies: &[&Policy], question: &Question<'_>) -> Verdict {
    let mut verdict = Verdict::Silent;
    for policy in policies {
        match policy.verdict(question) {
            Verdict::Deny => return Verdict::Deny,
            Verdict::Allow(naming) => verdict = Verdict::Allow(naming),
            Verdict::Silent => {}
        }
    }
    verdict
}
