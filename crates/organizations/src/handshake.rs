use std::collections::BTreeMap;
use std::time::Duration;

use opentrail_model::{AccountId, OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a handshake that is over is shown. (API Reference, DescribeHandshake.)
const SHOWN: Duration = DAY.saturating_mul(30);

/// An agreement that an organization seeks: with an account that is to join it, or with its members about all features.
/// (User Guide, "Terminology and concepts for AWS Organizations", "Handshake".)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// `h-…`.
    pub id: String,
    /// Who seeks it.
    pub organization: OrganizationId,
    /// The organization's management account.
    pub management: AccountId,
    /// What is to be agreed upon.
    pub action: HandshakeAction,
    /// What was done with it.
    pub state: HandshakeState,
    /// When it was begun.
    pub requested: Timestamp,
    /// When it ends unless somebody has answered.
    pub expires: Timestamp,
    /// When its state was last changed.
    pub changed: Timestamp,
}

/// What is to be agreed upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeAction {
    /// That an account joins.
    Invite {
        /// Which.
        account: AccountId,
        /// How the invitation calls it.
        addressed: Addressed,
        /// What the invitation says.
        notes: Option<String>,
        /// What the member is tagged with when it joins.
        tags: BTreeMap<String, String>,
    },
    /// That the organization takes all features, which the management account makes final.
    EnableAllFeatures,
    /// That a member, who once was invited for less, agrees with it.
    ApproveAllFeatures {
        /// Which.
        account: AccountId,
        /// The handshake of [`Self::EnableAllFeatures`].
        parent: String,
    },
}

/// How an invitation calls an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressed {
    /// By its digits.
    Account,
    /// By its address.
    Email,
}

/// What was done with a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeState {
    /// Nothing yet, and others have to answer first.
    Requested,
    /// Nothing yet.
    Open,
    /// Who began it has called it back.
    Canceled,
    /// It is agreed upon.
    Accepted,
    /// It was turned down.
    Declined,
    /// Nobody answered in time. Never stored.
    Expired,
}

impl Handshake {
    /// How long an invitation waits. (User Guide, "Quotas and service limits for AWS Organizations".)
    pub const INVITATION: Duration = DAY.saturating_mul(15);
    /// How long the move to all features may take. (The same page.)
    pub const ALL_FEATURES: Duration = DAY.saturating_mul(90);

    /// The state at that time.
    pub fn state(&self, now: Timestamp) -> HandshakeState {
        match self.state {
            HandshakeState::Requested | HandshakeState::Open if now >= self.expires => HandshakeState::Expired,
            state => state,
        }
    }

    /// Whether it waits for an answer.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        matches!(self.state(now), HandshakeState::Requested | HandshakeState::Open)
    }

    /// Whether it is still shown.
    pub fn is_shown(&self, now: Timestamp) -> bool {
        let over = match self.state(now) {
            HandshakeState::Requested | HandshakeState::Open => return true,
            HandshakeState::Expired => self.expires,
            HandshakeState::Canceled | HandshakeState::Accepted | HandshakeState::Declined => self.changed,
        };
        now.since(over) < SHOWN
    }

    /// The account that is asked, if it is another than the management account.
    pub fn asked(&self) -> Option<AccountId> {
        match &self.action {
            HandshakeAction::Invite { account, .. } | HandshakeAction::ApproveAllFeatures { account, .. } => {
                Some(*account)
            }
            HandshakeAction::EnableAllFeatures => None,
        }
    }

    /// Whether the account takes part in it.
    pub fn concerns(&self, account: AccountId) -> bool {
        self.management == account || self.asked() == Some(account)
    }

    /// The same with another state from `now` on.
    #[must_use]
    pub fn with_state(&self, state: HandshakeState, now: Timestamp) -> Self {
        Self { state, changed: now, ..self.clone() }
    }

    /// `arn:aws:organizations::<management>:handshake/<organization>/<action>/<id>`.
    pub fn arn(&self) -> String {
        let Self { organization, management, id, .. } = self;
        let action = self.action.name().to_ascii_lowercase();
        format!("arn:aws:organizations::{management}:handshake/{organization}/{action}/{id}")
    }
}

impl HandshakeAction {
    /// As the API spells it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Invite { .. } => "INVITE",
            Self::EnableAllFeatures => "ENABLE_ALL_FEATURES",
            Self::ApproveAllFeatures { .. } => "APPROVE_ALL_FEATURES",
        }
    }
}

impl HandshakeState {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Open => "OPEN",
            Self::Canceled => "CANCELED",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Expired => "EXPIRED",
        }
    }
}
