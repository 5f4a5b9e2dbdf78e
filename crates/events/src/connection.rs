//! Connections: how API destinations authorise requests. What a connection holds is sealed as a whole.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Region, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::error::EventsError;
use crate::place::{arn, prefix};

/// A connection as its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// Its name, unique in account and Region.
    pub name: String,
    /// What tells it from others that had its name.
    pub id: String,
    /// What its makers say of it.
    pub description: Option<String>,
    /// Which kind of authorisation it has.
    pub kind: AuthorizationKind,
    /// [`Authorization`] and [`Additions`], sealed, in base64; `None` once deauthorised.
    pub sealed: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
    /// When it was given its secrets last.
    pub authorized: Option<Timestamp>,
}

/// The kinds of authorisation. (API Reference, CreateConnection, `AuthorizationType`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthorizationKind {
    /// A header with a key.
    ApiKey,
    /// A user name and a password.
    Basic,
    /// A token that a server gives to a client.
    OauthClientCredentials,
}

impl AuthorizationKind {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "API_KEY",
            Self::Basic => "BASIC",
            Self::OauthClientCredentials => "OAUTH_CLIENT_CREDENTIALS",
        }
    }

    /// The kind of this name, which the service model has checked.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "BASIC" => Self::Basic,
            "OAUTH_CLIENT_CREDENTIALS" => Self::OauthClientCredentials,
            _ => Self::ApiKey,
        }
    }
}

/// What a connection holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) authorization: Authorization,
    /// Added to every request.
    pub(crate) additions: Additions,
}

/// How a request is authorised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Authorization {
    /// The header `name` with `value`.
    ApiKey { name: String, value: Hidden },
    /// HTTP's Basic authentication.
    Basic { username: String, password: Hidden },
    /// A bearer token, fetched with the client's credentials.
    OAuth(OAuth),
}

impl Authorization {
    pub(crate) fn kind(&self) -> AuthorizationKind {
        match self {
            Self::ApiKey { .. } => AuthorizationKind::ApiKey,
            Self::Basic { .. } => AuthorizationKind::Basic,
            Self::OAuth(_) => AuthorizationKind::OauthClientCredentials,
        }
    }
}

/// Where and how a token is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OAuth {
    pub(crate) client_id: String,
    pub(crate) client_secret: Hidden,
    pub(crate) endpoint: String,
    pub(crate) method: String,
    pub(crate) additions: Additions,
}

/// Headers, query and body parameters that are added to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Additions {
    pub(crate) headers: Vec<Parameter>,
    pub(crate) query: Vec<Parameter>,
    pub(crate) body: Vec<Parameter>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) key: String,
    pub(crate) value: Hidden,
    /// Its value is not shown.
    pub(crate) is_secret: bool,
}

/// A text that no log shows and that memory does not keep.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(String);

impl Hidden {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Connection {
    /// Its ARN.
    pub fn arn(&self) -> String {
        arn(self.account, &self.region, &format!("connection/{}/{}", self.name, self.id))
    }

    /// The key of its document.
    pub(crate) fn document(&self) -> String {
        format!("{}{}", prefix(self.account, &self.region), self.name)
    }

    /// `AUTHORIZED`, or `DEAUTHORIZED`. (API Reference, `ConnectionState`; a token is fetched only when a request needs
    /// it, so that there is no state on the way: a choice of ours.)
    pub(crate) fn state(&self) -> &'static str {
        if self.sealed.is_some() { "AUTHORIZED" } else { "DEAUTHORIZED" }
    }

    /// Takes over what it is to hold.
    pub(crate) fn hold(&mut self, held: &Held, ring: &KeyRing, now: Timestamp) {
        let text = Zeroizing::new(serde_json::to_vec(held).expect("texts and lists of them have a JSON form"));
        self.kind = held.authorization.kind();
        self.sealed = Some(STANDARD.encode(ring.seal(&self.purpose(), &text)));
        self.authorized = Some(now);
    }

    /// What it holds; `None` once deauthorised.
    pub(crate) fn held(&self, ring: &KeyRing) -> Result<Option<Held>, EventsError> {
        let Some(sealed) = &self.sealed else { return Ok(None) };
        let damaged = || EventsError::Damaged { arn: self.arn() };
        let sealed = STANDARD.decode(sealed).map_err(|_| damaged())?;
        let text = ring.unseal(&self.purpose(), &sealed).map_err(|_| damaged())?;
        serde_json::from_slice(&text).map(Some).map_err(|_| damaged())
    }

    /// What was sealed for one connection does not open for another.
    fn purpose(&self) -> String {
        format!("events-connection/{}", self.arn())
    }
}

/// An API destination as its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiDestination {
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// Its name, unique in account and Region.
    pub name: String,
    /// What tells it from others that had its name.
    pub id: String,
    /// What its makers say of it.
    pub description: Option<String>,
    /// The connection that authorises its requests.
    pub connection_arn: String,
    /// Where requests go; stars in its path are filled in by targets.
    pub endpoint: String,
    /// Their method.
    pub method: String,
    /// The most requests in a second.
    pub rate: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
}

impl ApiDestination {
    /// Its ARN.
    pub fn arn(&self) -> String {
        arn(self.account, &self.region, &format!("api-destination/{}/{}", self.name, self.id))
    }

    /// The key of its document.
    pub(crate) fn document(&self) -> String {
        format!("{}{}", prefix(self.account, &self.region), self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentrail_runtime::SystemRandom;

    use super::*;

    fn connection(name: &str) -> Connection {
        Connection {
            account: "111122223333".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            name: name.to_owned(),
            id: "1".to_owned(),
            description: None,
            kind: AuthorizationKind::ApiKey,
            sealed: None,
            created: Timestamp::EPOCH,
            modified: Timestamp::EPOCH,
            authorized: None,
        }
    }

    #[test]
    fn secrets_open_for_their_connection_alone_and_show_nowhere() {
        let ring = KeyRing::ephemeral(Arc::new(SystemRandom));
        let value = Hidden::new("s3cret".to_owned());
        let authorization = Authorization::ApiKey { name: "X-Key".to_owned(), value };
        let held = Held { authorization, additions: Additions::default() };
        let (mut ours, mut theirs) = (connection("ours"), connection("theirs"));
        ours.hold(&held, &ring, Timestamp::EPOCH);
        assert_eq!(ours.held(&ring).unwrap(), Some(held.clone()));
        theirs.sealed.clone_from(&ours.sealed);
        assert!(matches!(theirs.held(&ring), Err(EventsError::Damaged { .. })));
        let shown = format!("{held:?}{ours:?}{}", serde_json::to_string(&ours).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
