/// Why a message is not known to have arrived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NatsError {
    /// No server, or not for long enough.
    #[error("the NATS server cannot be reached: {reason}")]
    Connection {
        /// What failed.
        reason: String,
    },
    /// Nobody answered in time. The message may have arrived.
    #[error("the NATS server did not answer in time")]
    TimedOut,
    /// The server takes neither these credentials nor what they may do.
    #[error("the NATS server refused: {reason}")]
    Refused {
        /// The server's word.
        reason: String,
    },
    /// No stream stores this subject.
    #[error("no JetStream stream has the subject")]
    NoStream,
    /// The stream did not store it.
    #[error("the stream refused the message: {reason}")]
    NotStored {
        /// The stream's word.
        reason: String,
    },
    /// It is larger than the server takes.
    #[error("{size} bytes are more than the {most} that the NATS server takes")]
    TooLarge {
        /// Of the message, with its headers.
        size: usize,
        /// The server's limit.
        most: usize,
    },
}

impl From<std::io::Error> for NatsError {
    fn from(error: std::io::Error) -> Self {
        Self::Connection { reason: error.to_string() }
    }
}
