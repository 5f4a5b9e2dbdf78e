use crate::report::Report;

/// Why a body was not taken to its end. What was accepted before stays accepted; sending the whole body again is safe.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IngestError {
    /// The journal takes nothing now: send the body again later.
    #[error("{reason}; {} records were accepted before, send the body again", report.accepted)]
    Unavailable {
        /// The journal's word.
        reason: String,
        /// What became of the records before.
        report: Box<Report>,
    },
    /// The body broke off or stalled.
    #[error("the body broke off: {reason}; {} records were accepted before", report.accepted)]
    Body {
        /// The connection's word.
        reason: String,
        /// What became of the records before.
        report: Box<Report>,
    },
    /// The body is not compressed as it says.
    #[error("the body cannot be decoded: {reason}; {} records were accepted before", report.accepted)]
    Encoding {
        /// The decoder's word.
        reason: String,
        /// What became of the records before.
        report: Box<Report>,
    },
    /// The body is no array, document or lines of records.
    #[error("{reason} at byte {offset}; {} records were accepted before", report.accepted)]
    Framing {
        /// The byte of the decoded body.
        offset: u64,
        /// What is wrong there.
        reason: String,
        /// What became of the records before.
        report: Box<Report>,
    },
    /// The decoded body is larger than one request may be.
    #[error(
        "the body has more than the {limit_bytes} decoded bytes that a request may have: send it in parts; {} records \
         were accepted before",
        report.accepted
    )]
    TooLarge {
        /// Bytes allowed.
        limit_bytes: u64,
        /// What became of the records before.
        report: Box<Report>,
    },
}

impl IngestError {
    /// What became of the records before.
    pub fn report(&self) -> &Report {
        match self {
            Self::Unavailable { report, .. }
            | Self::Body { report, .. }
            | Self::Encoding { report, .. }
            | Self::Framing { report, .. }
            | Self::TooLarge { report, .. } => report,
        }
    }

    pub(crate) fn report_mut(&mut self) -> &mut Report {
        match self {
            Self::Unavailable { report, .. }
            | Self::Body { report, .. }
            | Self::Encoding { report, .. }
            | Self::Framing { report, .. }
            | Self::TooLarge { report, .. } => report,
        }
    }
}

/// Why a body ended early.
pub(crate) enum End {
    Unavailable(String),
    Body(String),
    Encoding(String),
    Framing(u64, &'static str),
    TooLarge(u64),
}

impl End {
    pub(crate) fn with(self, report: Report) -> IngestError {
        let report = Box::new(report);
        match self {
            Self::Unavailable(reason) => IngestError::Unavailable { reason, report },
            Self::Body(reason) => IngestError::Body { reason, report },
            Self::Encoding(reason) => IngestError::Encoding { reason, report },
            Self::Framing(offset, reason) => IngestError::Framing { offset, reason: reason.into(), report },
            Self::TooLarge(limit_bytes) => IngestError::TooLarge { limit_bytes, report },
        }
    }
}
