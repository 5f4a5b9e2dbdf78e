use async_trait::async_trait;
use opentrail_model::Position;
use opentrail_trails::{LogBatch, LogGroup, LogGroupError, LogGroups, Memory, TopicError, Topics, TrailKey, topic_arn};
use parking_lot::Mutex;

/// Topics named `…closed…` refuse, and so do log groups and roles of such names; all others are there.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) published: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl Topics for Beside {
    async fn check(&self, trail: &TrailKey, topic: &str) -> Result<String, TopicError> {
        let arn = topic_arn(trail, topic)?;
        if arn.contains("closed") {
            return Err(TopicError::Refused { code: "AuthorizationError".to_owned() });
        }
        Ok(arn)
    }

    async fn publish(&self, _: &TrailKey, topic_arn: &str, message: &str, _: &str) -> Result<(), TopicError> {
        self.published.lock().push((topic_arn.to_owned(), message.to_owned()));
        Ok(())
    }
}

#[async_trait]
impl LogGroups for Beside {
    async fn check(&self, _: &TrailKey, group: &LogGroup) -> Result<(), LogGroupError> {
        match (group.arn.contains("closed"), group.role.contains("closed")) {
            (true, _) => Err(LogGroupError::Group),
            (_, true) => Err(LogGroupError::Trust),
            (false, false) => Ok(()),
        }
    }

    async fn memory(&self, _: &TrailKey, _: &LogGroup) -> Result<Memory, LogGroupError> {
        Ok(Memory::Position(None))
    }

    async fn append(&self, _: &TrailKey, _: &LogGroup, _: Vec<LogBatch>, _: Position) -> Result<(), LogGroupError> {
        Ok(())
    }
}
