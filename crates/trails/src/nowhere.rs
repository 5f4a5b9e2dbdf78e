use async_trait::async_trait;
use opentrail_model::Position;

use crate::{LogBatch, LogGroup, LogGroupError, LogGroups, Memory, TopicError, Topics, TrailKey};

/// Neither topics nor log groups: every one is refused, as one that is not there.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

#[async_trait]
impl Topics for Nowhere {
    async fn check(&self, _: &TrailKey, _: &str) -> Result<String, TopicError> {
        Err(no_topic())
    }

    async fn publish(&self, _: &TrailKey, _: &str, _: &str, _: &str) -> Result<(), TopicError> {
        Err(no_topic())
    }
}

#[async_trait]
impl LogGroups for Nowhere {
    async fn check(&self, _: &TrailKey, _: &LogGroup) -> Result<(), LogGroupError> {
        Err(LogGroupError::Group)
    }

    async fn memory(&self, _: &TrailKey, _: &LogGroup) -> Result<Memory, LogGroupError> {
        Ok(Memory::Events)
    }

    async fn append(&self, _: &TrailKey, _: &LogGroup, _: Vec<LogBatch>, _: Position) -> Result<(), LogGroupError> {
        Err(LogGroupError::Group)
    }
}

fn no_topic() -> TopicError {
    TopicError::Refused { code: "NotFound".to_owned() }
}
