use std::fmt;

use async_trait::async_trait;
use opentrail_model::{Position, Timestamp};

use crate::{LogGroup, TrailKey};

/// Events of a trail on their way into its log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogBatch {
    /// The stream that they go to.
    pub stream: String,
    /// Each event's time and its record, in the order of the journal.
    pub events: Vec<(Timestamp, bytes::Bytes)>,
    /// The time of writing, for events whose own the group does not take.
    pub at: Timestamp,
}

/// By what a log group is spared events that it has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It keeps, beside the events, through which position of the journal it has the trail's; `None` before the first.
    Position(Option<Position>),
    /// It can be asked for events, and keeps nothing else.
    Events,
}

/// The log groups of CloudWatch Logs that trails write to.
#[async_trait]
pub trait LogGroups: fmt::Debug + Send + Sync + 'static {
    /// Whether the group is there, in the trail's account and home Region, and the role is one that CloudTrail can take
    /// and that may make streams and put events there. (User Guide, "Role policy document for CloudTrail to use
    /// CloudWatch Logs for monitoring".)
    async fn check(&self, trail: &TrailKey, group: &LogGroup) -> Result<(), LogGroupError>;

    /// What the group knows of the trail's events.
    async fn memory(&self, trail: &TrailKey, group: &LogGroup) -> Result<Memory, LogGroupError>;

    /// Of events whose [`Self::append`] has an unknown outcome, those that the group has not. Asked only of groups that
    /// keep no position, and only of all events of such an append that are in a stretch of the journal.
    async fn missing(
        &self,
        _trail: &TrailKey,
        _group: &LogGroup,
        batches: Vec<LogBatch>,
    ) -> Result<Vec<LogBatch>, LogGroupError> {
        Ok(batches)
    }

    /// Puts the events that the trail took out of the journal through `through`, which is kept beside them where that
    /// can be.
    ///
    /// # Cancellation
    /// They may have been put.
    async fn append(
        &self,
        trail: &TrailKey,
        group: &LogGroup,
        batches: Vec<LogBatch>,
        through: Position,
    ) -> Result<(), LogGroupError>;
}

/// Why a log group has not got a trail's events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogGroupError {
    /// No log group of the trail's account and home Region, or none at all. CloudTrail's own words.
    #[error("CloudTrail cannot validate the specified log group ARN.")]
    Group,
    /// The role is not there, or CloudTrail may not take it. CloudTrail's own words; Terraform retries on them.
    #[error("Access denied. Check the trust relationships for your role.")]
    Trust,
    /// The role may not write there. CloudTrail's own words; Terraform retries on them.
    #[error("Access denied. Check the permissions for your role.")]
    Permissions,
    /// Nobody could be asked; trying again may help.
    #[error("CloudWatch Logs is unavailable: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}
