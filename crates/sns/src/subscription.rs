use std::time::Duration;

use opentrail_model::{AccountId, Timestamp};
use opentrail_runtime::Random;
use opentrail_wire::sigv4::hex_sha256;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::arn::SubscriptionArn;
use crate::endpoint::Endpoint;

/// How long a confirmation token is valid. (API Reference, Subscribe: "Confirmation tokens are valid for two days.") A
/// subscription that was not confirmed by then is deleted.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// How many confirmations one subscription may have sent: whoever subscribes a stranger's address again and again does
/// not make this server trouble him more often. A choice of ours.
pub(crate) const MOST_CONFIRMATIONS: u8 = 10;

const TOKEN_BYTES: usize = 32;

/// A subscription's document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) arn: SubscriptionArn,
    /// The account of who subscribed.
    pub(crate) owner: AccountId,
    pub(crate) endpoint: Endpoint,
    pub(crate) created: Timestamp,
    pub(crate) state: State,
    pub(crate) settings: Settings,
}

/// Whether a subscription receives messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    /// The endpoint's owner has not agreed yet.
    Pending { token: TokenMark, sent: u8 },
    /// It receives.
    Confirmed {
        /// `ConfirmationWasAuthenticated`.
        authenticated: bool,
        /// Whether only signed requests end it.
        authenticate_on_unsubscribe: bool,
        /// The token that confirmed it: the same link, followed again, is no error.
        token: Option<TokenMark>,
    },
    /// Ended by its link; the token takes that back. It is shown to nobody.
    Cancelled { token: TokenMark },
}

/// A subscription's attributes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) raw: bool,
    /// `FilterPolicy`, as it was set.
    pub(crate) filter: Option<String>,
    pub(crate) scope: FilterScope,
    /// `RedrivePolicy`, as it was set.
    pub(crate) redrive: Option<String>,
    /// `DeliveryPolicy`, as it was set.
    pub(crate) delivery_policy: Option<String>,
}

/// `FilterPolicyScope`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FilterScope {
    #[default]
    MessageAttributes,
    MessageBody,
}

/// What is kept of a token: enough to know it again, not to use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenMark {
    sha256: String,
    pub(crate) expires: Timestamp,
}

/// A token, as its endpoint gets it: the subscription's id and 256 bits by chance, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// A new one for the subscription `id`, and what is kept of it.
    pub(crate) fn new(id: Uuid, random: &dyn Random, now: Timestamp) -> (Self, TokenMark) {
        let mut chance = [0; TOKEN_BYTES];
        random.fill(&mut chance);
        let text = format!("{}{}", id.simple(), hex::encode(chance));
        let mark = TokenMark { sha256: hex_sha256(text.as_bytes()), expires: now + TOKEN_LIFE };
        (Self(text), mark)
    }

    /// A token that somebody sends; `None` when it has not the form of one.
    pub(crate) fn parse(text: &str) -> Option<(Self, Uuid)> {
        let fits = text.len() == 32 + 2 * TOKEN_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = fits.then(|| text[..32].parse().ok()).flatten()?;
        Some((Self(text.to_owned()), id))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TokenMark {
    /// Whether this is the mark of `token`, which is still valid.
    pub(crate) fn is_of(&self, token: &Token, now: Timestamp) -> bool {
        let given = hex_sha256(token.0.as_bytes());
        bool::from(given.as_bytes().ct_eq(self.sha256.as_bytes())) && now < self.expires
    }
}

impl FilterScope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::MessageAttributes => "MessageAttributes",
            Self::MessageBody => "MessageBody",
        }
    }
}

impl Subscription {
    /// Whether it is as if it were not there: nobody confirmed it in time, or took back its end.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Pending { token, .. } | State::Cancelled { token } => token.expires <= now,
            State::Confirmed { .. } => false,
        }
    }

    /// Whether lists show it.
    pub(crate) fn is_shown(&self, now: Timestamp) -> bool {
        !self.is_gone(now) && !matches!(self.state, State::Cancelled { .. })
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self.state, State::Confirmed { .. })
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    /// How lists name it.
    pub(crate) fn shown_arn(&self) -> String {
        if self.is_pending() { "PendingConfirmation".to_owned() } else { self.arn.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use opentrail_runtime::SeededRandom;

    use super::*;

    #[test]
    fn a_token_is_good_for_its_subscription_and_two_days() {
        let (random, now) = (SeededRandom::new(1), Timestamp::from_secs(1000));
        let id = random.uuid();
        let (token, mark) = Token::new(id, &random, now);
        let (read, of) = Token::parse(token.as_str()).unwrap();
        assert_eq!((&read, of), (&token, id));
        assert!(mark.is_of(&read, now));
        assert!(!mark.is_of(&read, now + TOKEN_LIFE));
        let (other, _) = Token::new(id, &random, now);
        assert!(!mark.is_of(&other, now));
        for wrong in ["", "x", &token.as_str()[1..], &format!("{}é", &token.as_str()[2..])] {
            assert_eq!(Token::parse(wrong), None);
        }
    }
}
