use std::sync::Arc;

use opentrail_model::{AccountId, Arn, Timestamp};
use serde_json::{Map, Value, json};

use crate::{Context, Policy};

/// Who makes a request, found by their access key.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// The account that they belong to.
    pub account: AccountId,
    /// That account's alias, which CloudTrail gives as the root's user name.
    pub account_alias: Option<String>,
    /// What they are in it.
    pub kind: PrincipalKind,
    /// The key that they signed with.
    pub access_key_id: String,
    /// Present with temporary credentials.
    pub session: Option<SessionInfo>,
}

/// What a principal is in its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// The account's root, with a long-term key.
    Root,
    /// The account's root, with credentials of `GetSessionToken`.
    RootSession,
    /// An IAM user, with a long-term key.
    User {
        /// The friendly name.
        name: String,
        /// `/` or `/division/team/`.
        path: String,
        /// `AIDA…`.
        id: String,
    },
    /// An IAM user, with credentials of `GetSessionToken`.
    UserSession {
        /// The friendly name.
        name: String,
        /// `/` or `/division/team/`.
        path: String,
        /// `AIDA…`.
        id: String,
    },
    /// A session of a role.
    AssumedRole {
        /// The role's friendly name.
        role_name: String,
        /// The role's path.
        role_path: String,
        /// The role's id, `AROA…`.
        role_id: String,
        /// What its caller named the session.
        session_name: String,
    },
}

/// What temporary credentials carry.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionInfo {
    /// When they were made.
    pub issued: Timestamp,
    /// When they end, exclusive.
    pub expires: Timestamp,
    /// Whether their maker proved to hold a second factor.
    pub mfa: bool,
    /// The `SourceIdentity` of the first `AssumeRole` of the chain.
    pub source_identity: Option<String>,
    /// The session policy, which narrows what the role may do.
    pub policy: Option<Arc<Policy>>,
}

impl Principal {
    /// The ARN that `GetCallerIdentity` tells: of the root, the user, or the role session.
    pub fn arn(&self) -> Arn {
        match &self.kind {
            PrincipalKind::AssumedRole { role_name, session_name, .. } => {
                arn(format!("arn:aws:sts::{}:assumed-role/{role_name}/{session_name}", self.account))
            }
            _ => arn(self.issuer_arn()),
        }
    }

    /// The ARN that policies name and `aws:PrincipalArn` holds: of the root, the user, or the role itself.
    pub(crate) fn issuer_arn(&self) -> String {
        let account = self.account;
        match &self.kind {
            PrincipalKind::Root | PrincipalKind::RootSession => format!("arn:aws:iam::{account}:root"),
            PrincipalKind::User { name, path, .. } | PrincipalKind::UserSession { name, path, .. } => {
                format!("arn:aws:iam::{account}:user{path}{name}")
            }
            PrincipalKind::AssumedRole { role_name, role_path, .. } => {
                format!("arn:aws:iam::{account}:role{role_path}{role_name}")
            }
        }
    }

    /// The `UserId` of `GetCallerIdentity`: the account's digits, `AIDA…`, or `AROA…:session`.
    pub fn user_id(&self) -> String {
        match &self.kind {
            PrincipalKind::Root | PrincipalKind::RootSession => self.account.to_string(),
            PrincipalKind::User { id, .. } | PrincipalKind::UserSession { id, .. } => id.clone(),
            PrincipalKind::AssumedRole { role_id, session_name, .. } => format!("{role_id}:{session_name}"),
        }
    }

    /// CloudTrail's `userIdentity`, its members in the order of AWS's records.
    /// (CloudTrail User Guide, "CloudTrail userIdentity element".)
    pub fn user_identity(&self) -> Value {
        let (kind, user_name) = match &self.kind {
            PrincipalKind::Root | PrincipalKind::RootSession => ("Root", self.account_alias.as_ref()),
            PrincipalKind::User { name, .. } | PrincipalKind::UserSession { name, .. } => ("IAMUser", Some(name)),
            PrincipalKind::AssumedRole { .. } => ("AssumedRole", None),
        };
        let mut identity = Map::new();
        identity.insert("type".to_owned(), kind.into());
        identity.insert("principalId".to_owned(), self.user_id().into());
        identity.insert("arn".to_owned(), self.arn().as_str().into());
        identity.insert("accountId".to_owned(), self.account.to_string().into());
        identity.insert("accessKeyId".to_owned(), self.access_key_id.as_str().into());
        if let Some(name) = user_name {
            identity.insert("userName".to_owned(), name.as_str().into());
        }
        if let Some(session) = &self.session {
            identity.insert("sessionContext".to_owned(), self.session_context(session));
        }
        Value::Object(identity)
    }

    fn session_context(&self, session: &SessionInfo) -> Value {
        let mut context = Map::new();
        if let PrincipalKind::AssumedRole { role_name, role_id, .. } = &self.kind {
            let issuer = json!({
                "type": "Role",
                "principalId": role_id,
                "arn": self.issuer_arn(),
                "accountId": self.account.to_string(),
                "userName": role_name,
            });
            context.insert("sessionIssuer".to_owned(), issuer);
        }
        let attributes = json!({
            "creationDate": session.issued.to_iso(),
            "mfaAuthenticated": session.mfa.to_string(),
        });
        context.insert("attributes".to_owned(), attributes);
        if let Some(source) = &session.source_identity {
            context.insert("sourceIdentity".to_owned(), source.as_str().into());
        }
        Value::Object(context)
    }

    /// The global condition keys that follow from the principal.
    /// (IAM User Guide, "AWS global condition context keys", properties of the principal and of a role session.)
    pub(crate) fn context<'t>(&self, tags: impl IntoIterator<Item = (&'t String, &'t String)>) -> Context {
        let mut context = Context::new();
        context.insert("aws:PrincipalArn", self.issuer_arn());
        context.insert("aws:PrincipalAccount", self.account.to_string());
        context.insert("aws:PrincipalIsAWSService", "false");
        context.insert("aws:userid", self.user_id());
        let kind = match &self.kind {
            PrincipalKind::Root | PrincipalKind::RootSession => "Account",
            PrincipalKind::User { name, .. } | PrincipalKind::UserSession { name, .. } => {
                context.insert("aws:username", name.as_str());
                "User"
            }
            PrincipalKind::AssumedRole { .. } => "AssumedRole",
        };
        context.insert("aws:PrincipalType", kind);
        for (key, value) in tags {
            context.insert(&format!("aws:PrincipalTag/{key}"), value.as_str());
        }
        if let Some(session) = &self.session {
            context.insert("aws:TokenIssueTime", session.issued.to_iso());
            context.insert("aws:MultiFactorAuthPresent", session.mfa.to_string());
            if let Some(source) = &session.source_identity {
                context.insert("aws:SourceIdentity", source.as_str());
            }
        }
        context
    }
}

fn arn(text: String) -> Arn {
    text.parse().expect("an ARN put together from its parts has six of them")
}

#[cfg(test)]
mod tests;
