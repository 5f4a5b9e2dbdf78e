use http::StatusCode;
use http::request::Parts;

use crate::exchange::Endpoint;
use crate::generated::json_services::JsonService;
use crate::service::{self, Protocol};
use crate::{classify, s3};

/// The most that is kept of a body. Fields of a record end at 100 KB, and JSON and XML lose some weight on the way.
pub const MAX_CAPTURE: usize = 256 * 1024;

/// How much of one body to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureMode {
    /// Nothing.
    None,
    /// So many bytes; nothing of a longer body.
    UpTo(usize),
    /// So many bytes of an error's body, nothing of a success.
    ErrorsUpTo(usize),
}

impl CaptureMode {
    /// How many bytes to keep of a response with this status.
    pub fn for_status(self, status: StatusCode) -> usize {
        match self {
            Self::UpTo(limit) => limit,
            Self::ErrorsUpTo(limit) if status.is_client_error() || status.is_server_error() => limit,
            Self::ErrorsUpTo(_) | Self::None => 0,
        }
    }

    /// How many bytes to keep of a request.
    pub fn for_request(self) -> usize {
        match self {
            Self::UpTo(limit) => limit,
            Self::ErrorsUpTo(_) | Self::None => 0,
        }
    }
}

/// Which bodies of a call its record needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Of the request.
    pub request: CaptureMode,
    /// Of the response.
    pub response: CaptureMode,
}

/// Which bodies of this call to keep: never an object's content, and never the answer of a call that reads, since
/// records show none.
pub fn wanted_capture(parts: &Parts, endpoint: &Endpoint) -> Capture {
    let call = service::identify(&parts.method, &parts.uri, &parts.headers, endpoint);
    let (errors, all) = (CaptureMode::ErrorsUpTo(MAX_CAPTURE), CaptureMode::UpTo(MAX_CAPTURE));
    let documents = |known: Option<&JsonService>, service: &str, operation: &str| {
        let source = known.map_or_else(|| service::event_source(service), |known| known.event_source.to_owned());
        let silent = classify::reads(&source, operation) || classify::is_data(&source, operation);
        Capture { request: all, response: if silent { errors } else { all } }
    };
    match call.protocol {
        Protocol::S3 => s3::wanted_capture(parts, endpoint),
        Protocol::Json { target } => {
            let operation = target.rsplit('.').next().unwrap_or_default();
            documents(service::json_service(target), &call.service, operation)
        }
        Protocol::Cbor { shape, operation } => documents(service::service_of_shape(shape), &call.service, operation),
        // The action is in the body, so that nobody knows yet whether the answer is wanted.
        Protocol::Query => Capture { request: all, response: all },
        Protocol::Rest => Capture { request: CaptureMode::None, response: errors },
    }
}
