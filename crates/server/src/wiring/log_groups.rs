//! Log groups for the other parts of the server: trails that write their events into them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use opentrail_identity::{AccessRequest, Context, Decision, Directory, Principal};
use opentrail_logs::{GroupPlace, LogEvent, Logs, ServiceBatch};
use opentrail_model::Position;
use opentrail_runtime::Clock;
use opentrail_trails::{LogBatch, LogGroup, LogGroupError, LogGroups, Memory, TrailKey};

use super::service_role::{OnBehalf, take_role};

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";
/// What CloudTrail needs to do with a group. (User Guide, "Role policy document for CloudTrail to use CloudWatch Logs for
/// monitoring".)
const ACTIONS: [&str; 2] = ["logs:CreateLogStream", "logs:PutLogEvents"];

/// The log groups of this server, for trails.
pub(crate) struct TrailLogGroups {
    pub(crate) logs: Logs,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl TrailLogGroups {
    fn role(&self, trail: &TrailKey, group: &LogGroup) -> Result<Principal, LogGroupError> {
        let arn = trail.arn();
        let on_behalf = OnBehalf {
            service: CLOUDTRAIL,
            source_arn: arn.as_str(),
            source_account: trail.account,
            session: "CloudTrail_CloudWatchLogs",
        };
        take_role(&self.directory, &group.role, on_behalf, self.clock.now()).ok_or(LogGroupError::Trust)
    }

    /// Whether the role may write to the stream now.
    fn authorize(&self, role: &Principal, place: &GroupPlace, stream: &str) -> Result<(), LogGroupError> {
        let resource = place.stream_arn(stream);
        let context = Context::new();
        let allowed = ACTIONS.into_iter().all(|action| {
            let request = AccessRequest {
                action,
                resource: &resource,
                context: &context,
                resource_policy: None,
                resource_account: Some(place.account),
            };
            matches!(self.directory.authorize(role, &request), Decision::Allowed)
        });
        if allowed { Ok(()) } else { Err(LogGroupError::Permissions) }
    }
}

#[async_trait]
impl LogGroups for TrailLogGroups {
    async fn check(&self, trail: &TrailKey, group: &LogGroup) -> Result<(), LogGroupError> {
        let place = place_of(group)?;
        let here = (place.account, &place.region) == (trail.account, &trail.home_region);
        if !here || !self.logs.has_group(&place).await.map_err(unavailable)? {
            return Err(LogGroupError::Group);
        }
        let role = self.role(trail, group)?;
        // The first stream that there will be; for those of members the role is asked when they write.
        self.authorize(&role, &place, &format!("{}_CloudTrail_{}", trail.account, trail.home_region))
    }

    async fn memory(&self, trail: &TrailKey, _: &LogGroup) -> Result<Memory, LogGroupError> {
        Ok(Memory::Position(self.logs.position(&source(trail)).await.map_err(unavailable)?.map(Position)))
    }

    async fn append(
        &self,
        trail: &TrailKey,
        group: &LogGroup,
        batches: Vec<LogBatch>,
        through: Position,
    ) -> Result<(), LogGroupError> {
        let place = place_of(group)?;
        let role = self.role(trail, group)?;
        let mut services = Vec::with_capacity(batches.len());
        for LogBatch { stream, events, .. } in batches {
            self.authorize(&role, &place, &stream)?;
            let event = |(at, record): (opentrail_model::Timestamp, bytes::Bytes)| LogEvent {
                timestamp: at.as_millis(),
                message: String::from_utf8_lossy(&record).into_owned(),
            };
            let events = events.into_iter().map(event).collect();
            services.push(ServiceBatch { group: place.clone(), stream, events });
        }
        if !self.logs.has_group(&place).await.map_err(unavailable)? {
            return Err(LogGroupError::Group);
        }
        self.logs.append(&source(trail), through.0, services).await.map(drop).map_err(unavailable)
    }
}

/// By what name the store of log groups keeps how far a trail has come.
fn source(trail: &TrailKey) -> String {
    format!("trail/{trail}")
}

fn place_of(group: &LogGroup) -> Result<GroupPlace, LogGroupError> {
    GroupPlace::from_arn(&group.arn).map_err(|_| LogGroupError::Group)
}

fn unavailable(error: impl fmt::Display) -> LogGroupError {
    LogGroupError::Unavailable { reason: error.to_string() }
}

impl fmt::Debug for TrailLogGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrailLogGroups").finish_non_exhaustive()
    }
}
