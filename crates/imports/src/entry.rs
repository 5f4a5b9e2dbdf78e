//! What can be wrong with a file or a folder, and how long a bucket is asked again.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use opentrail_runtime::Clock;
use serde::{Deserialize, Serialize};

use crate::LogFileError;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// A failure's text is kept up to so many characters.
const MOST_CHARACTERS: usize = 500;

/// Why a file or a folder was not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct EntryError {
    /// What kind of failure it is.
    pub kind: EntryErrorKind,
    /// `ErrorMessage`.
    pub message: String,
}

/// `ErrorType`. AWS names `AccessDenied`; the others are a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryErrorKind {
    /// The role may not read it.
    AccessDenied,
    /// It was listed, and is no more.
    NoSuchKey,
    /// It is not a log file.
    InvalidFile,
    /// It has more than is read at once.
    FileTooLarge,
    /// The bucket does not answer, or answers with failures.
    ServiceUnavailable,
}

impl EntryErrorKind {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::NoSuchKey => "NoSuchKey",
            Self::InvalidFile => "InvalidFile",
            Self::FileTooLarge => "FileTooLarge",
            Self::ServiceUnavailable => "ServiceUnavailable",
        }
    }
}

impl EntryError {
    /// An error of that kind; of a long message the beginning.
    pub fn new(kind: EntryErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string().chars().take(MOST_CHARACTERS).collect() }
    }
}

impl From<LogFileError> for EntryError {
    fn from(error: LogFileError) -> Self {
        let kind = match &error {
            LogFileError::TooLarge { .. } => EntryErrorKind::FileTooLarge,
            LogFileError::Gzip { .. } | LogFileError::Document { .. } | LogFileError::Event { .. } => {
                EntryErrorKind::InvalidFile
            }
        };
        Self::new(kind, error)
    }
}

impl From<object_store::Error> for EntryError {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        let kind = match &error {
            E::NotFound { .. } => EntryErrorKind::NoSuchKey,
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => EntryErrorKind::AccessDenied,
            E::InvalidPath { .. } => EntryErrorKind::InvalidFile,
            _ => EntryErrorKind::ServiceUnavailable,
        };
        Self::new(kind, error)
    }
}

/// How long a bucket that fails is asked again before that is believed.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How long.
    pub limit: Duration,
}

impl Patience {
    /// Asks until there is an answer that another try would not change, or the patience is at its end.
    ///
    /// # Errors
    /// The last answer.
    pub async fn ask<T, F>(&self, ask: impl Fn() -> F) -> Result<T, EntryError>
    where
        F: Future<Output = Result<T, object_store::Error>>,
    {
        let (mut pause, mut since) = (FIRST_PAUSE, None);
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => EntryError::from(error),
            };
            let since = *since.get_or_insert(self.clock.now());
            if error.kind != EntryErrorKind::ServiceUnavailable || self.clock.now().since(since) >= self.limit {
                return Err(error);
            }
            metrics::counter!("opentrail_imports_bucket_failures_total").increment(1);
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
