use opentrail_model::AccountId;

use crate::principal::{Principal, PrincipalKind};

/// Who makes a request, as `Principal` elements see it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Requester<'a> {
    /// An account's root, a user, or a session.
    Identity(&'a Principal),
    /// A service by itself, e.g. `cloudtrail.amazonaws.com`.
    Service(&'a str),
    /// Somebody who is not known, or who did not sign: only `*` names them.
    Unknown,
}

/// One entry of a `Principal` or `NotPrincipal` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrincipalPattern {
    /// `*`.
    Anyone,
    /// `111122223333` or `arn:aws:iam::111122223333:root`: the account, which shares the right out itself.
    Account(AccountId),
    /// The ARN of a user, role or role session.
    Arn(String),
    /// A service's name.
    Service(String),
    /// A federated or canonical user: understood, but nobody here is one.
    Elsewhere,
}

/// How directly an element names a requester. Later ones are stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Naming {
    /// By the account: its own policies decide further.
    Account,
    /// By the user's, root's or role's ARN, the service's name, or `*`.
    Principal,
    /// By the ARN of the role session itself.
    Session,
}

impl PrincipalPattern {
    /// Parses one value of the `kind` (`AWS`, `Service`, `Federated`, `CanonicalUser`).
    pub(crate) fn parse(kind: &str, text: &str) -> Result<Self, String> {
        match kind {
            "AWS" if text == "*" => Ok(Self::Anyone),
            "AWS" => Self::parse_aws(text).ok_or_else(|| {
                format!("{text:?} is neither \"*\", an account id, nor the ARN of a root, user, role or session")
            }),
            "Service" if text == "*" || text.contains(['*', '?']) || !text.contains('.') => {
                Err(format!("{text:?} is not a service such as cloudtrail.amazonaws.com"))
            }
            "Service" => Ok(Self::Service(text.to_owned())),
            "Federated" | "CanonicalUser" => Ok(Self::Elsewhere),
            _ => Err(format!("{kind:?} is not one of AWS, Service, Federated, CanonicalUser")),
        }
    }

    fn parse_aws(text: &str) -> Option<Self> {
        if let Ok(account) = text.parse() {
            return Some(Self::Account(account));
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service @ ("iam" | "sts"), "", account, resource] = parts[..] else { return None };
        let account: AccountId = account.parse().ok()?;
        if (service, resource) == ("iam", "root") {
            return Some(Self::Account(account));
        }
        let (kind, name) = resource.split_once('/')?;
        let kinds = if service == "iam" { ["user", "role"] } else { ["assumed-role", "federated-user"] };
        let names_one = !partition.is_empty() && kinds.contains(&kind) && !name.is_empty();
        (names_one && !text.contains(['*', '?'])).then(|| Self::Arn(text.to_owned()))
    }

    /// How this entry names `requester`, if it does.
    pub(crate) fn naming(&self, requester: Requester<'_>) -> Option<Naming> {
        match (self, requester) {
            (Self::Anyone, _) => Some(Naming::Principal),
            (Self::Service(named), Requester::Service(service)) => {
                named.eq_ignore_ascii_case(service).then_some(Naming::Principal)
            }
            (Self::Account(account), Requester::Identity(principal)) => {
                (*account == principal.account).then_some(match principal.kind {
                    PrincipalKind::Root | PrincipalKind::RootSession => Naming::Principal,
                    _ => Naming::Account,
                })
            }
            (Self::Arn(arn), Requester::Identity(principal)) => {
                if *arn == principal.issuer_arn() {
                    Some(Naming::Principal)
                } else {
                    (*arn == principal.arn().as_str()).then_some(Naming::Session)
                }
            }
            _ => None,
        }
    }

    /// Whether this entry of a `NotPrincipal` spares `requester`. An account spares its root alone: its users and
    /// roles are named by their own ARNs. (IAM User Guide, "IAM JSON policy elements: NotPrincipal".)
    pub(crate) fn spares(&self, requester: Requester<'_>) -> bool {
        self.naming(requester).is_some_and(|naming| naming > Naming::Account)
    }
}
