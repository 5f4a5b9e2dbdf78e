//! How several policies decide together. (IAM User Guide, "Policy evaluation logic".)

use std::fmt;

use opentrail_model::AccountId;

use crate::context::{Context, Facts};
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
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IdentityBased => "identity-based",
            Self::ResourceBased => "resource-based",
            Self::Session => "session",
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
            Self::ImplicitDeny { missing } => format!("because no {missing} policy allows the {action} action"),
            Self::ExplicitDeny { by } => {
                let article = if by == PolicyKind::IdentityBased { "an" } else { "a" };
                format!("with an explicit deny in {article} {by} policy")
            }
        };
        format!("User: {} is not authorized to perform: {action}{on} {reason}", principal.arn())
    }
}

/// Decides over `request` by `principal`, who holds `policies` and has the keys of `caller`.
pub(crate) fn decide(
    principal: &Principal,
    policies: &[Policy],
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
        _ => identity_verdict(policies, &question),
    };

    for (verdict, by) in [
        (identity, PolicyKind::IdentityBased),
        (resource, PolicyKind::ResourceBased),
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
        if !by_identity && by_resource.is_none_or(|naming| naming == Naming::Account) {
            return missing(PolicyKind::IdentityBased);
        }
    } else {
        if !by_identity {
            return missing(PolicyKind::IdentityBased);
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

fn identity_verdict(policies: &[Policy], question: &Question<'_>) -> Verdict {
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
