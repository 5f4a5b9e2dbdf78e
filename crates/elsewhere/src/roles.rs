//! Sessions of trails' roles, assumed elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentrail_model::Timestamp;
use opentrail_outbound::aws::{AwsCalls, AwsEndpoint, AwsError};
use opentrail_runtime::Clock;
use opentrail_wire::sigv4::Credentials;
use parking_lot::Mutex;
use serde::Deserialize;

/// What sessions are called, as CloudTrail's are.
const SESSION: &str = "CloudTrail_CloudWatchLogs";
/// A session is renewed so long before its end.
const EARLY: Duration = Duration::from_secs(300);

/// Assumes roles, and keeps each session until shortly before its end.
pub(crate) struct Roles {
    sts: AwsEndpoint,
    calls: AwsCalls,
    clock: Arc<dyn Clock>,
    sessions: Mutex<BTreeMap<String, (Timestamp, Credentials)>>,
}

/// AssumeRole's answer. (STS API Reference, AssumeRole.)
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleResponse {
    assume_role_result: AssumeRoleResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleResult {
    credentials: Session,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Session {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

impl Roles {
    pub(crate) fn new(sts: AwsEndpoint, calls: AwsCalls, clock: Arc<dyn Clock>) -> Self {
        Self { sts, calls, clock, sessions: Mutex::default() }
    }

    /// A session's credentials of the role of this ARN.
    pub(crate) async fn take(&self, role: &str) -> Result<Credentials, AwsError> {
        let now = self.clock.now();
        if let Some((until, credentials)) = self.sessions.lock().get(role)
            && *until > now
        {
            return Ok(credentials.clone());
        }
        let parameters = [("RoleArn", role), ("RoleSessionName", SESSION)];
        let answer: AssumeRoleResponse =
            self.calls.query(&self.sts, "sts", "2011-06-15", "AssumeRole", &parameters).await?;
        let session = answer.assume_role_result.credentials;
        let credentials = Credentials {
            access_key_id: session.access_key_id,
            secret: session.secret_access_key,
            session_token: Some(session.session_token),
        };
        // An end that cannot be read is one that has come: the session serves this once.
        let until = session.expiration.parse().map_or(now, |end: Timestamp| end - EARLY);
        self.sessions.lock().insert(role.to_owned(), (until, credentials.clone()));
        Ok(credentials)
    }

    /// A session that was refused is not used again.
    pub(crate) fn forget(&self, role: &str) {
        self.sessions.lock().remove(role);
    }
}
