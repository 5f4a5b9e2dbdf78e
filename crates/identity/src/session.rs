//! Temporary credentials, whose token carries everything that must be known of them, sealed.
//!
//! Nothing is stored: a token is valid because only this server could have sealed it, over restarts and on every
//! machine that shares the key ring.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_model::{AccountId, Timestamp};
use opentrail_runtime::Random;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Secret;
use crate::ids::{secret_key, temporary_key_id};
use crate::policy::{Policy, PolicyUse};
use crate::principal::{Principal, PrincipalKind, SessionInfo};

const PURPOSE: &str = "sts-session-token";

/// Longer texts are not even tried: a header cannot be the way to feed in megabytes.
const MAX_TOKEN_CHARACTERS: usize = 16 * 1024;

/// What seals the tokens of sessions, with authentication: what was not sealed does not unseal.
pub trait Sealer: fmt::Debug + Send + Sync + 'static {
    /// Seals `plaintext` for `purpose`.
    fn seal(&self, purpose: &str, plaintext: &[u8]) -> Vec<u8>;

    /// Opens what [`Self::seal`] made for the same purpose; `None` for anything else.
    fn unseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>>;
}

/// Temporary credentials, as STS hands them out.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `ASIA…`.
    pub access_key_id: String,
    /// What to sign with.
    pub secret: Secret,
    /// To be sent with each request.
    pub session_token: String,
    /// When they end, whole seconds.
    pub expiration: Timestamp,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, until {})", self.access_key_id, self.expiration)
    }
}

/// What a token says. Stored nowhere but with clients, for at most 36 hours; members may be added as options.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    pub(crate) access_key_id: String,
    secret: Zeroizing<String>,
    pub(crate) account: AccountId,
    who: Who,
    issued: Timestamp,
    pub(crate) expires: Timestamp,
    mfa: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_identity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// The key of whoever asked for the credentials.
    source_access_key_id: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    Root,
    User { name: String, path: String, id: String },
    Role { name: String, path: String, id: String, session: String },
}

/// What credentials are made for.
pub(crate) struct NewSession<'a> {
    pub(crate) account: AccountId,
    pub(crate) who: Who,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) mfa: bool,
    pub(crate) source_identity: Option<String>,
    pub(crate) policy: Option<&'a str>,
    pub(crate) source_access_key_id: &'a str,
}

impl NewSession<'_> {
    pub(crate) fn issue(self, random: &dyn Random, sealer: &dyn Sealer) -> Credentials {
        let (access_key_id, secret) = (temporary_key_id(random), secret_key(random));
        let expiration = self.expires;
        let claims = Claims {
            access_key_id: access_key_id.clone(),
            secret: Zeroizing::new(secret.expose().to_owned()),
            account: self.account,
            who: self.who,
            issued: self.issued,
            expires: self.expires,
            mfa: self.mfa,
            source_identity: self.source_identity,
            policy: self.policy.map(str::to_owned),
            source_access_key_id: self.source_access_key_id.to_owned(),
        };
        let plaintext = Zeroizing::new(serde_json::to_vec(&claims).expect("claims are texts and numbers"));
        let session_token = STANDARD.encode(sealer.seal(PURPOSE, &plaintext));
        Credentials { access_key_id, secret, session_token, expiration }
    }
}

impl Claims {
    /// The claims of a token that this server made; `None` for any other text.
    pub(crate) fn unseal(token: &str, sealer: &dyn Sealer) -> Option<Self> {
        if token.len() > MAX_TOKEN_CHARACTERS {
            return None;
        }
        let plaintext = Zeroizing::new(sealer.unseal(PURPOSE, &STANDARD.decode(token).ok()?)?);
        serde_json::from_slice(&plaintext).ok()
    }

    pub(crate) fn secret(&self) -> Secret {
        Secret::new(self.secret.as_str())
    }

    /// Who uses the credentials; `None` when a session policy cannot be understood, which must never mean "no limit".
    pub(crate) fn principal(self, account_alias: Option<String>) -> Option<Principal> {
        let policy = match &self.policy {
            None => None,
            Some(text) => Some(Arc::new(Policy::parse(text, PolicyUse::Session).ok()?)),
        };
        let kind = match self.who {
            Who::Root => PrincipalKind::RootSession,
            Who::User { name, path, id } => PrincipalKind::UserSession { name, path, id },
            Who::Role { name, path, id, session } => {
                PrincipalKind::AssumedRole { role_name: name, role_path: path, role_id: id, session_name: session }
            }
        };
        let session = SessionInfo {
            issued: self.issued,
            expires: self.expires,
            mfa: self.mfa,
            source_identity: self.source_identity,
            policy,
        };
        let (account, access_key_id) = (self.account, self.access_key_id);
        Some(Principal { account, account_alias, kind, access_key_id, session: Some(session) })
    }
}

#[cfg(test)]
impl Sealer for opentrail_keys::KeyRing {
    fn seal(&self, purpose: &str, plaintext: &[u8]) -> Vec<u8> {
        self.seal(purpose, plaintext)
    }

    fn unseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.unseal(purpose, sealed).ok().map(|plaintext| plaintext.to_vec())
    }
}
